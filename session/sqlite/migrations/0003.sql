-- Version 3: the live sessions of a provider's session are found by an index (OpenID
-- Connect Back-Channel Logout 1.0).

CREATE INDEX session_live_sid ON session (sid) WHERE ended = 0 AND sid <> '';

-- A program must know version 2 to serve this schema.
INSERT OR REPLACE INTO setting (name, value) VALUES ('oldest_schema_3', CAST('2' AS BLOB));
