//! What the answers of every operation have in common, so that a handler's documentation says only what is its own.

use utoipa::{
    Modify,
    openapi::{Content, OpenApi, PathItem, Ref, Response, ResponseBuilder, path::Operation},
};

/// Adds the answers that the layers around a handler give. What a handler says of a status stays.
#[derive(Clone, Copy, Debug)]
pub struct CommonAnswers {
    /// What a 429 says, if every operation may answer it.
    pub limited: Option<&'static str>,
    /// What a 503 says.
    pub unavailable: &'static str,
}

const INVALID: (&str, &str) = ("400", "INVALID_REQUEST: the message says what is wrong");
const UNAUTHORIZED: (&str, &str) = ("401", "UNAUTHORIZED: no key, or not one that is valid here");
const TOO_LARGE: (&str, &str) = ("413", "PAYLOAD_TOO_LARGE");
const NOT_JSON: (&str, &str) = ("415", "UNSUPPORTED_MEDIA_TYPE: send application/json");
const INTERNAL: (&str, &str) = ("500", "INTERNAL: our fault, and logged");

impl Modify for CommonAnswers {
    fn modify(&self, openapi: &mut OpenApi) {
        openapi
            .paths
            .paths
            .values_mut()
            .flat_map(operations)
            .for_each(|operation| self.complete(operation));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

impl CommonAnswers {
    fn complete(self, operation: &mut Operation) {
        let takes_body = operation.request_body.is_some();
        let takes_any = takes_body || operation.parameters.is_some();
        let is_secured = operation.security.is_some();
        let common = [
            takes_any.then_some(INVALID),
            is_secured.then_some(UNAUTHORIZED),
            takes_body.then_some(TOO_LARGE),
            takes_body.then_some(NOT_JSON),
            self.limited.map(|limited| ("429", limited)),
            Some(INTERNAL),
            Some(("503", self.unavailable)),
        ];
        for (status, description) in common.into_iter().flatten() {
            operation
                .responses
                .responses
                .entry(status.to_owned())
                .or_insert_with(|| problem(description).into());
        }
    }
}

fn problem(description: &str) -> Response {
    let body = Content::new(Some(Ref::from_schema_name("ErrorBody")));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", body)
        .build()
}
