-- +goose Up

-- Version 3: the live sessions of a provider's session are found by an index (OpenID
-- Connect Back-Channel Logout 1.0).

CREATE INDEX session_live_sid ON session (sid) WHERE ended = 0 AND sid <> '';

-- A program must know version 2 to serve this schema.
INSERT INTO setting (name, value) VALUES ('oldest_schema_3', '\x32') ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- +goose Down

DROP INDEX session_live_sid;
DELETE FROM setting WHERE name = 'oldest_schema_3';
