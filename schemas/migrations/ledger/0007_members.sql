-- Who acts for a workspace besides its agents. The role is here and not in the key, so it changes at once.
CREATE TABLE members
(
    id           TEXT PRIMARY KEY,
    workspace_id TEXT    NOT NULL REFERENCES workspaces (id),
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'member', 'admin', 'owner')),
    created_at   INTEGER NOT NULL,
    removed_at   INTEGER
) STRICT;
CREATE INDEX members_of_workspace ON members (workspace_id, created_at);

-- A key of nobody's was its workspace's owner's: the owner becomes a member.
INSERT INTO members (id, workspace_id, name, role, created_at)
SELECT 'mem_' || lower(hex(randomblob(12))), workspace_id, 'owner', 'owner', min(created_at)
FROM api_keys
WHERE agent_id IS NULL
  AND provider_id IS NULL
GROUP BY workspace_id;

ALTER TABLE api_keys
    ADD COLUMN member_id TEXT REFERENCES members (id) CHECK (member_id IS NULL OR (agent_id IS NULL AND provider_id IS NULL));
UPDATE api_keys
SET member_id = (SELECT id FROM members WHERE members.workspace_id = api_keys.workspace_id)
WHERE agent_id IS NULL
  AND provider_id IS NULL;

-- Whoever it is that holds the key: ids of members, agents and providers differ.
ALTER TABLE api_keys
    ADD COLUMN holder_id TEXT GENERATED ALWAYS AS (coalesce(member_id, agent_id, provider_id)) VIRTUAL;
-- Written at most once a minute, so it is that much behind.
ALTER TABLE api_keys
    ADD COLUMN last_used_at INTEGER;
DROP INDEX api_keys_of_agent;
DROP INDEX api_keys_of_provider;
CREATE INDEX api_keys_of_holder ON api_keys (holder_id);
CREATE INDEX api_keys_of_workspace ON api_keys (workspace_id);
