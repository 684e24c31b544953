//! The gateway as a member of a workspace sees it: one method for each request, errors as the gateway words them.

use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use x402_schemas::{
    api::{
        ErrorBody,
        agent::PaymentView,
        base_url::BaseUrl,
        keys::{KeyView, RotateKey},
        members::{CreateMember, MemberCreated, MemberView, SessionCreated, SetRole},
        owner::{
            AgentCreated, AgentView, AttachTreasury, CreateAgent, CreateProvider, CreateWorkspace,
            ProviderCreated, ProviderView, Registration, RelayTransaction, Revoked, SetBudget,
            SetWorkspacePolicy, TransactionRelayed, TreasuryView, WorkspaceCreated, WorkspaceView,
        },
        policy::{DryRun, DryRunReport, Rejection},
        webhooks::{CreateWebhook, DeliveryView, TestDelivery, WebhookSecret, WebhookView},
    },
    policy::Policy,
};

const NO_ANSWER: &str = "the gateway does not answer (--gateway-url)";
/// How long a stream may be silent before it is taken for dead.
const STREAM_SILENCE: Duration = Duration::from_secs(45);

/// Which events, and from where on.
#[derive(Clone, Debug, Default)]
pub struct EventsQuery {
    /// Of this payment only.
    pub payment: Option<String>,
    /// Whether the stream goes on after what is there already.
    pub follow: bool,
    /// Only events after this number.
    pub after: Option<u64>,
    /// The last event that was told: the stream is resumed after it.
    pub last: Option<u64>,
}

/// Requests to one gateway with one key.
#[derive(Clone, Debug)]
pub struct Owner {
    http: reqwest::Client,
    gateway: BaseUrl,
    key: SecretString,
}

impl Owner {
    /// `key` is a member's, or the operator's token for creating workspaces.
    pub fn new(gateway: Url, key: SecretString) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            http,
            gateway: BaseUrl::try_from(gateway)?,
            key,
        })
    }

    /// The key that it asks with.
    pub const fn key(&self) -> &SecretString {
        &self.key
    }

    /// `POST /workspaces`, with the operator's token.
    pub async fn create_workspace(
        &self,
        request: &CreateWorkspace,
    ) -> anyhow::Result<WorkspaceCreated> {
        self.send(Method::POST, &["workspaces"], Some(request))
            .await
    }

    /// `GET /workspace`.
    pub async fn workspace(&self) -> anyhow::Result<WorkspaceView> {
        self.get(&["workspace"]).await
    }

    /// `PUT /workspace/budget`.
    pub async fn set_budget(&self, request: &SetBudget) -> anyhow::Result<WorkspaceView> {
        self.send(Method::PUT, &["workspace", "budget"], Some(request))
            .await
    }

    /// `PUT /workspace/policy`.
    pub async fn set_workspace_policy(
        &self,
        request: &SetWorkspacePolicy,
    ) -> anyhow::Result<WorkspaceView> {
        self.send(Method::PUT, &["workspace", "policy"], Some(request))
            .await
    }

    /// `POST /workspace/pause`.
    pub async fn pause_workspace(&self) -> anyhow::Result<WorkspaceView> {
        self.post(&["workspace", "pause"]).await
    }

    /// `POST /workspace/resume`.
    pub async fn resume_workspace(&self) -> anyhow::Result<WorkspaceView> {
        self.post(&["workspace", "resume"]).await
    }

    /// `POST /policy/dry-run`.
    pub async fn dry_run(&self, draft: &DryRun) -> anyhow::Result<DryRunReport> {
        self.send(Method::POST, &["policy", "dry-run"], Some(draft))
            .await
    }

    /// `GET /approvals`.
    pub async fn approvals(&self) -> anyhow::Result<Vec<PaymentView>> {
        self.get(&["approvals"]).await
    }

    /// `POST /payments/{id}/approve`.
    pub async fn approve(&self, payment_id: &str) -> anyhow::Result<PaymentView> {
        self.post(&["payments", payment_id, "approve"]).await
    }

    /// `POST /payments/{id}/reject`.
    pub async fn reject(
        &self,
        payment_id: &str,
        rejection: &Rejection,
    ) -> anyhow::Result<PaymentView> {
        let path = ["payments", payment_id, "reject"];
        self.send(Method::POST, &path, Some(rejection)).await
    }

    /// `POST /members`.
    pub async fn create_member(&self, request: &CreateMember) -> anyhow::Result<MemberCreated> {
        self.send(Method::POST, &["members"], Some(request)).await
    }

    /// `GET /members`.
    pub async fn members(&self) -> anyhow::Result<Vec<MemberView>> {
        self.get(&["members"]).await
    }

    /// `GET /members/me`.
    pub async fn me(&self) -> anyhow::Result<MemberView> {
        self.get(&["members", "me"]).await
    }

    /// `PUT /members/{id}/role`.
    pub async fn set_role(&self, member_id: &str, request: SetRole) -> anyhow::Result<MemberView> {
        self.send(Method::PUT, &["members", member_id, "role"], Some(&request))
            .await
    }

    /// `POST /sessions`.
    pub async fn session(&self) -> anyhow::Result<SessionCreated> {
        self.post(&["sessions"]).await
    }

    /// `POST /members/{id}/rotate`.
    pub async fn rotate_member(
        &self,
        member_id: &str,
        grace: RotateKey,
    ) -> anyhow::Result<MemberCreated> {
        let path = ["members", member_id, "rotate"];
        self.send(Method::POST, &path, Some(&grace)).await
    }

    /// `GET /keys`.
    pub async fn keys(&self) -> anyhow::Result<Vec<KeyView>> {
        self.get(&["keys"]).await
    }

    /// `POST /keys/{id}/revoke`.
    pub async fn revoke_key(&self, key_id: &str) -> anyhow::Result<Revoked> {
        self.post(&["keys", key_id, "revoke"]).await
    }

    /// `POST /members/{id}/remove`.
    pub async fn remove_member(&self, member_id: &str) -> anyhow::Result<MemberView> {
        self.post(&["members", member_id, "remove"]).await
    }

    /// `POST /agents`.
    pub async fn create_agent(&self, request: &CreateAgent) -> anyhow::Result<AgentCreated> {
        self.send(Method::POST, &["agents"], Some(request)).await
    }

    /// `GET /agents`.
    pub async fn agents(&self) -> anyhow::Result<Vec<AgentView>> {
        self.get(&["agents"]).await
    }

    /// `PUT /agents/{id}/policy`.
    pub async fn set_policy(&self, agent_id: &str, policy: &Policy) -> anyhow::Result<AgentView> {
        self.send(Method::PUT, &["agents", agent_id, "policy"], Some(policy))
            .await
    }

    /// `POST /agents/{id}/pause`.
    pub async fn pause_agent(&self, agent_id: &str) -> anyhow::Result<AgentView> {
        self.post(&["agents", agent_id, "pause"]).await
    }

    /// `POST /agents/{id}/resume`.
    pub async fn resume_agent(&self, agent_id: &str) -> anyhow::Result<AgentView> {
        self.post(&["agents", agent_id, "resume"]).await
    }

    /// `POST /agents/{id}/rotate`.
    pub async fn rotate_agent(
        &self,
        agent_id: &str,
        grace: RotateKey,
    ) -> anyhow::Result<AgentCreated> {
        let path = ["agents", agent_id, "rotate"];
        self.send(Method::POST, &path, Some(&grace)).await
    }

    /// `POST /agents/{id}/revoke`.
    pub async fn revoke_agent(&self, agent_id: &str) -> anyhow::Result<Revoked> {
        self.post(&["agents", agent_id, "revoke"]).await
    }

    /// `POST /providers`.
    pub async fn create_provider(
        &self,
        request: &CreateProvider,
    ) -> anyhow::Result<ProviderCreated> {
        self.send(Method::POST, &["providers"], Some(request)).await
    }

    /// `GET /providers`.
    pub async fn providers(&self) -> anyhow::Result<Vec<ProviderView>> {
        self.get(&["providers"]).await
    }

    /// `PUT /providers/{id}/registration`.
    pub async fn set_registration(
        &self,
        provider_id: &str,
        registration: &Registration,
    ) -> anyhow::Result<Registration> {
        let path = ["providers", provider_id, "registration"];
        self.send(Method::PUT, &path, Some(registration)).await
    }

    /// `POST /providers/{id}/rotate`.
    pub async fn rotate_provider(
        &self,
        provider_id: &str,
        grace: RotateKey,
    ) -> anyhow::Result<ProviderCreated> {
        let path = ["providers", provider_id, "rotate"];
        self.send(Method::POST, &path, Some(&grace)).await
    }

    /// `POST /providers/{id}/revoke`.
    pub async fn revoke_provider(&self, provider_id: &str) -> anyhow::Result<Revoked> {
        self.post(&["providers", provider_id, "revoke"]).await
    }

    /// `POST /treasury`.
    pub async fn attach_treasury(&self, request: &AttachTreasury) -> anyhow::Result<TreasuryView> {
        self.send(Method::POST, &["treasury"], Some(request)).await
    }

    /// `GET /treasury`.
    pub async fn treasury(&self) -> anyhow::Result<TreasuryView> {
        self.get(&["treasury"]).await
    }

    /// `POST /treasury/relay`.
    pub async fn relay(&self, request: &RelayTransaction) -> anyhow::Result<TransactionRelayed> {
        self.send(Method::POST, &["treasury", "relay"], Some(request))
            .await
    }

    /// `POST /webhooks`.
    pub async fn create_webhook(&self, request: &CreateWebhook) -> anyhow::Result<WebhookSecret> {
        self.send(Method::POST, &["webhooks"], Some(request)).await
    }

    /// `GET /webhooks`.
    pub async fn webhooks(&self) -> anyhow::Result<Vec<WebhookView>> {
        self.get(&["webhooks"]).await
    }

    /// `DELETE /webhooks/{id}`.
    pub async fn delete_webhook(&self, webhook_id: &str) -> anyhow::Result<()> {
        let path = ["webhooks", webhook_id];
        self.ask(Method::DELETE, &path, None::<&()>).await.map(drop)
    }

    /// `POST /webhooks/{id}/rotate`.
    pub async fn rotate_webhook(&self, webhook_id: &str) -> anyhow::Result<WebhookSecret> {
        self.post(&["webhooks", webhook_id, "rotate"]).await
    }

    /// `POST /webhooks/{id}/test`.
    pub async fn test_webhook(&self, webhook_id: &str) -> anyhow::Result<TestDelivery> {
        self.post(&["webhooks", webhook_id, "test"]).await
    }

    /// `GET /webhooks/{id}/deliveries`.
    pub async fn deliveries(&self, webhook_id: &str) -> anyhow::Result<Vec<DeliveryView>> {
        self.get(&["webhooks", webhook_id, "deliveries"]).await
    }

    /// `GET /events` or `GET /payments/{id}/events`: the stream, from where it is to be resumed.
    pub async fn events(&self, query: &EventsQuery) -> anyhow::Result<Response> {
        let mut url = match &query.payment {
            Some(id) => self.gateway.endpoint(&["payments", id, "events"]),
            None => self.gateway.endpoint(&["events"]),
        };
        url.query_pairs_mut()
            .append_pair("follow", &query.follow.to_string());
        if let Some(after) = query.after {
            let after = after.to_string();
            url.query_pairs_mut().append_pair("after", &after);
        }
        // A stream has no end to wait for, but a sign of life every 15 seconds.
        let client = reqwest::Client::builder()
            .read_timeout(STREAM_SILENCE)
            .build()?;
        let mut request = client.get(url).bearer_auth(self.key.expose_secret());
        if let Some(last) = query.last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.context(NO_ANSWER)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(refusal(status, &response.bytes().await?))
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.send(Method::POST, path, None::<&()>).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.send(Method::GET, path, None::<&()>).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<T> {
        let bytes = self.ask(method, path, body).await?;
        serde_json::from_slice(&bytes)
            .context("the gateway's answer is not understood; are both of the same version?")
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<Vec<u8>> {
        let url = self.gateway.endpoint(path);
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(self.key.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.context(NO_ANSWER)?;
        let status = response.status();
        let bytes = response.bytes().await?;
        if status.is_success() {
            Ok(bytes.to_vec())
        } else {
            Err(refusal(status, &bytes))
        }
    }
}

/// A refusal as the gateway words it.
fn refusal(status: StatusCode, body: &[u8]) -> anyhow::Error {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(problem) => anyhow!("{}: {}", problem.error, problem.message),
        Err(_) => anyhow!(
            "the gateway answered {}",
            status
                .canonical_reason()
                .unwrap_or_else(|| StatusCode::as_str(&status))
        ),
    }
}
