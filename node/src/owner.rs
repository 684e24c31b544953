//! The gateway as a member of a workspace sees it: one method for each request, errors as the gateway words them.

use anyhow::{Context, bail};
use reqwest::{Method, StatusCode, Url};
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
            ProviderCreated, ProviderView, RelayTransaction, Revoked, SetBudget,
            SetWorkspacePolicy, TransactionRelayed, TreasuryView, WorkspaceCreated, WorkspaceView,
        },
        policy::{DryRun, DryRunReport, Rejection},
    },
    policy::Policy,
};

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
            .timeout(std::time::Duration::from_secs(30))
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
        let url = self.gateway.endpoint(path);
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(self.key.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request
            .send()
            .await
            .with_context(|| "the gateway does not answer (--gateway-url)".to_owned())?;
        let status = response.status();
        let bytes = response.bytes().await?;
        if status.is_success() {
            return serde_json::from_slice(&bytes)
                .context("the gateway's answer is not understood; are both of the same version?");
        }
        match serde_json::from_slice::<ErrorBody>(&bytes) {
            Ok(problem) => bail!("{}: {}", problem.error, problem.message),
            Err(_) => bail!(
                "the gateway answered {}",
                status
                    .canonical_reason()
                    .unwrap_or_else(|| StatusCode::as_str(&status))
            ),
        }
    }
}
