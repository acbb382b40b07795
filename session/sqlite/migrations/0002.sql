-- Version 2: a person is a row (provider, subject), a sign-in is the row of a
-- provider's refresh token and last answer, and sessions point to a sign-in. The
-- table person of version 1 becomes the table sign_in. Times are milliseconds
-- since 1970, 0 for never.
--
-- The tables of version 1 are renamed, copied and dropped, children before their
-- parents, so that no ON DELETE CASCADE deletes a copied row.

ALTER TABLE person RENAME TO person_1;
ALTER TABLE facts RENAME TO facts_1;
ALTER TABLE renewal RENAME TO renewal_1;
ALTER TABLE session RENAME TO session_1;
ALTER TABLE client RENAME TO client_1;

-- A person: one account at a provider. All its sign-ins point to it.
CREATE TABLE person (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    provider  TEXT    NOT NULL,
    subject   TEXT    NOT NULL, -- the provider's identifier of the account
    user_name TEXT    NOT NULL,
    last_seen INTEGER NOT NULL, -- the last login or redemption
    UNIQUE (provider, subject)
) STRICT;

-- A sign-in: the state that a provider's last answer about a person left. There is
-- one per person where logins share it (login_id is empty), or one per login
-- (login_id is the public id of the session that the login made). The provider's
-- refresh token is sealed with a key derived for login_id, or for the account
-- where login_id is empty.
CREATE TABLE sign_in (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    person           INTEGER NOT NULL REFERENCES person (id),
    provider_id      INTEGER NOT NULL, -- hash of the provider's name and fingerprint
    login_id         TEXT    NOT NULL,
    identity_version BLOB    NOT NULL, -- hash of the identity
    stamp            TEXT    NOT NULL, -- hash of the attributes that show a changed password or account state
    token_version    INTEGER NOT NULL, -- grows by one with each refresh token of the provider that is stored
    last_vouched     INTEGER NOT NULL, -- when the provider last vouched for the person
    last_asked       INTEGER NOT NULL, -- when the provider was last asked, whatever it answered
    last_answer      INTEGER NOT NULL, -- session.Answer: 0 vouched, 1 down after it vouched, 2 rejected, 3 gone, 4 cannot revalidate, 6 down after any other answer
    gone_since       INTEGER NOT NULL, -- since when the provider reports the person as gone; 0 if it does not
    pending_since    INTEGER NOT NULL, -- since when an end of sessions is pending; 0 for none
    pending_reason   TEXT    NOT NULL, -- reason of the pending end; empty for none
    lease_until      INTEGER NOT NULL, -- end of the lease, the exclusive right of one replica to ask the provider
    UNIQUE (person, provider_id, login_id)
) STRICT;

-- The identity of a sign-in, as JSON. It is a separate table so that taking a lease
-- updates a short row.
CREATE TABLE identity (
    sign_in INTEGER PRIMARY KEY REFERENCES sign_in (id) ON DELETE CASCADE,
    body    BLOB    NOT NULL
) STRICT;

-- A provider's refresh token, encrypted.
CREATE TABLE provider_token (
    sign_in         INTEGER PRIMARY KEY REFERENCES sign_in (id) ON DELETE CASCADE,
    body            BLOB    NOT NULL,
    revocable_since INTEGER NOT NULL DEFAULT 0 -- since when the sign-in has no live session; 0 while it has one
) STRICT;

-- A session: the row of a token that shorepass issued, by the token's hash.
CREATE TABLE session (
    hash       BLOB    PRIMARY KEY,
    sign_in    INTEGER NOT NULL REFERENCES sign_in (id),
    person     INTEGER NOT NULL REFERENCES person (id), -- a copy of the sign-in's
    kind       TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    service    TEXT    NOT NULL, -- empty if the token is valid for several services
    stamp      TEXT    NOT NULL, -- the sign-in's stamp at the login
    login_name TEXT    NOT NULL, -- as typed; empty if there was none
    sid        TEXT    NOT NULL, -- the provider's session id (OpenID Connect Back-Channel Logout 1.0)
    acr        TEXT    NOT NULL,
    amr        TEXT    NOT NULL, -- a JSON list, empty for none
    auth_time  INTEGER NOT NULL,
    limits     TEXT    NOT NULL, -- limits of the token, as JSON; empty for none
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    last_used  INTEGER NOT NULL DEFAULT 0,
    ended      INTEGER NOT NULL DEFAULT 0,
    reason     TEXT    NOT NULL DEFAULT '', -- why it ended
    provider_token_hash BLOB -- hash of a provider's refresh token that also finds this session; NULL for none
) STRICT, WITHOUT ROWID;

-- The client of a session. Lists read it, redemptions do not.
CREATE TABLE client (
    hash         BLOB PRIMARY KEY REFERENCES session (hash) ON DELETE CASCADE,
    address      TEXT NOT NULL,
    id           TEXT NOT NULL,
    agent        TEXT NOT NULL,
    last_address TEXT NOT NULL DEFAULT '',
    last_id      TEXT NOT NULL DEFAULT '',
    last_agent   TEXT NOT NULL DEFAULT '',
    ended_by     TEXT NOT NULL DEFAULT '',
    label        TEXT NOT NULL DEFAULT '', -- the person's name for a token
    made_by      TEXT NOT NULL DEFAULT ''  -- the operator who made it for its person
) STRICT, WITHOUT ROWID;

-- Single-use grants, spent ones included until a sweep: one-time passwords,
-- authorization codes. A session copies the columns from method to auth_time from
-- the grant that it is made from.
CREATE TABLE auth_grant (
    hash       BLOB    PRIMARY KEY,
    kind       TEXT    NOT NULL,
    sign_in    INTEGER NOT NULL REFERENCES sign_in (id) ON DELETE CASCADE,
    method     TEXT    NOT NULL,
    service    TEXT    NOT NULL,
    stamp      TEXT    NOT NULL,
    login_name TEXT    NOT NULL,
    sid        TEXT    NOT NULL,
    acr        TEXT    NOT NULL,
    amr        TEXT    NOT NULL,
    auth_time  INTEGER NOT NULL,
    data       TEXT    NOT NULL, -- opaque, for the code that made the grant
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    spent      INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO person (provider, subject, user_name, last_seen)
SELECT provider, subject, user_name, max(checked) FROM person_1 GROUP BY provider, subject; -- SQLite takes bare columns from the row with the maximum: the user name that was read last

INSERT INTO sign_in (id, person, provider_id, login_id, identity_version, stamp, token_version, last_vouched, last_asked, last_answer, gone_since, pending_since, pending_reason, lease_until)
SELECT o.id, p.id, o.provider_id, o.own, o.version, o.stamp, EXISTS (SELECT 1 FROM renewal_1 r WHERE r.person = o.id), o.checked, o.asked,
    CASE o.answer WHEN 5 THEN 6 ELSE o.answer END, -- 5, withheld by the circuit breaker, is no answer any more
    o.gone, 0, '', o.lease
FROM person_1 o JOIN person p ON p.provider = o.provider AND p.subject = o.subject;

INSERT INTO identity (sign_in, body) SELECT person, body FROM facts_1;
INSERT INTO provider_token (sign_in, body, revocable_since) SELECT person, body, ended FROM renewal_1;

INSERT INTO session (hash, sign_in, person, kind, method, service, stamp, login_name, sid, acr, amr, auth_time, limits, created, expires, last_used, ended, reason, provider_token_hash)
SELECT s.hash, s.person, i.person, s.kind, s.method, s.service, s.stamp, '', '', '', '', s.created, '', s.created, s.expires, s.used, s.ended, s.why, s.upstream
FROM session_1 s JOIN sign_in i ON i.id = s.person;

INSERT INTO client (hash, address, id, agent, last_address, last_id, last_agent, ended_by)
SELECT hash, address, id, agent, last_address, last_id, last_agent, ended_by FROM client_1;

DROP TABLE client_1;
DROP TABLE session_1;
DROP TABLE renewal_1;
DROP TABLE facts_1;
DROP TABLE person_1;

CREATE INDEX person_user ON person (user_name);
CREATE INDEX sign_in_pending ON sign_in (pending_since) WHERE pending_since > 0;
CREATE INDEX provider_token_revocable ON provider_token (revocable_since) WHERE revocable_since > 0;

CREATE INDEX session_sign_in ON session (sign_in, ended);
CREATE INDEX session_person ON session (person);
CREATE UNIQUE INDEX session_provider_token ON session (provider_token_hash) WHERE provider_token_hash IS NOT NULL;

-- Partial indexes: live sessions first, then ended ones.
CREATE INDEX session_live_person ON session (person, kind) WHERE ended = 0;
CREATE INDEX session_live_expires ON session (expires) WHERE ended = 0;
CREATE INDEX session_live_used ON session (kind, last_used, created) WHERE ended = 0;

-- Ended sessions that a sweep may delete; sessions that were never used are deleted
-- earlier.
CREATE INDEX session_ended ON session (ended) WHERE ended > 0 AND provider_token_hash IS NULL;
CREATE INDEX session_ended_unused ON session (ended) WHERE ended > 0 AND provider_token_hash IS NULL AND last_used = 0;
CREATE INDEX session_ended_person ON session (person, kind, ended) WHERE ended > 0 AND provider_token_hash IS NULL;

CREATE INDEX auth_grant_sign_in ON auth_grant (sign_in);
CREATE INDEX auth_grant_expires ON auth_grant (expires);

-- A program must know version 2 to serve this schema.
INSERT OR REPLACE INTO setting (name, value) VALUES ('oldest_schema_2', CAST('2' AS BLOB));

-- Leases: the exclusive right of one replica to redeem a provider's refresh token
-- that has no session yet. They last for seconds, so those of version 1 are
-- dropped.
CREATE TABLE first_use (
    provider_token_hash BLOB PRIMARY KEY,
    until               INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX first_use_until ON first_use (until);

DROP TABLE claim;

-- The rate limit of wrong passwords.

DROP TABLE counted;

-- A row is a window, an address budget or a proof. Only package throttle reads it:
-- its key and the names in its body are MACs, meaningless without the sealing key.
CREATE TABLE throttle (
    key     BLOB    PRIMARY KEY,
    version INTEGER NOT NULL, -- random, new at each change, for compare-and-swap
    expires INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX throttle_expires ON throttle (expires);

-- Circuit breakers: a row for each provider whose breaker has ever opened.
CREATE TABLE breaker (
    provider      TEXT    PRIMARY KEY,
    first_tripped INTEGER NOT NULL, -- when it first tripped after a quiet period
    last_tripped  INTEGER NOT NULL, -- when it last tripped
    doubted_until INTEGER NOT NULL -- refusals answered until then are void
) STRICT, WITHOUT ROWID;

-- The circuit breaker's counts: a replica's answers of a provider in the ten
-- minutes before written, as JSON.
CREATE TABLE tally (
    provider TEXT    NOT NULL,
    replica  TEXT    NOT NULL,
    written  INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    PRIMARY KEY (provider, replica)
) STRICT, WITHOUT ROWID;

DROP TABLE doubt;
DROP TABLE undo;
DROP TABLE answers;
