//! The docs page: shows the service's own `/openapi.json`; no script or style comes from elsewhere.

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};

const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                      style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("docs.html");

/// `GET /docs`.
pub fn page() -> std::future::Ready<Response> {
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    std::future::ready((headers, Html(PAGE)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_page_needs_nothing_from_elsewhere() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains("//cdn"));
    }
}
