-- Persons, their sign-ins, and sessions that point to a sign-in. What version 1
-- called a person is a sign-in here: the row of a provider's answers.
--
-- The tables of version 1 are renamed, copied, and dropped: the children first,
-- so that dropping a parent cascades to nothing.

ALTER TABLE person RENAME TO person_1;
ALTER TABLE facts RENAME TO facts_1;
ALTER TABLE renewal RENAME TO renewal_1;
ALTER TABLE session RENAME TO session_1;
ALTER TABLE client RENAME TO client_1;

-- An account at a provider.
CREATE TABLE person (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    provider  TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    user_name TEXT    NOT NULL,
    seen      INTEGER NOT NULL, -- the last login or redemption
    UNIQUE (provider, subject)
) STRICT;

-- What a provider's answers are kept on: one for each person where logins share
-- it (login is empty), or one for each login (login is the public id of the
-- session that it made). Its refresh token is sealed under that id, or under the
-- account where logins share it.
CREATE TABLE sign_in (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    person      INTEGER NOT NULL REFERENCES person (id),
    provider_id INTEGER NOT NULL, -- a hash of the provider's name and fingerprint
    login       TEXT    NOT NULL,
    version     BLOB    NOT NULL, -- of the identity
    stamp       TEXT    NOT NULL,
    token       INTEGER NOT NULL, -- counts the refresh tokens of the provider that it had
    checked     INTEGER NOT NULL,
    asked       INTEGER NOT NULL,
    answer      INTEGER NOT NULL,
    gone        INTEGER NOT NULL,
    pending     INTEGER NOT NULL, -- since when an end of sessions is pending, 0 for none
    reason      TEXT    NOT NULL, -- of the pending end
    lease       INTEGER NOT NULL,
    UNIQUE (person, provider_id, login)
) STRICT;

-- Apart from sign_in, so that a lease writes a short row.
CREATE TABLE identity (
    sign_in INTEGER PRIMARY KEY REFERENCES sign_in (id) ON DELETE CASCADE,
    body    BLOB NOT NULL
) STRICT;

-- A provider's refresh token, sealed. due is since when no session of the
-- sign-in lives, 0 while one does.
CREATE TABLE provider_token (
    sign_in INTEGER PRIMARY KEY REFERENCES sign_in (id) ON DELETE CASCADE,
    body    BLOB    NOT NULL,
    due     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE session (
    hash       BLOB    PRIMARY KEY,
    sign_in    INTEGER NOT NULL REFERENCES sign_in (id),
    person     INTEGER NOT NULL REFERENCES person (id), -- that of the sign-in
    kind       TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    service    TEXT    NOT NULL, -- empty where it is good for several
    stamp      TEXT    NOT NULL, -- the person's at the login
    login_name TEXT    NOT NULL, -- as it was typed; empty where none was
    sid        TEXT    NOT NULL, -- the provider's session (OpenID Connect Back-Channel Logout 1.0)
    acr        TEXT    NOT NULL,
    amr        TEXT    NOT NULL, -- a JSON list, empty for none
    auth_time  INTEGER NOT NULL,
    limits     TEXT    NOT NULL, -- read by the policy alone; empty for none
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0,
    ended      INTEGER NOT NULL DEFAULT 0,
    reason     TEXT    NOT NULL DEFAULT '',
    provider_token_hash BLOB -- of the provider's refresh token that it answers to
) STRICT, WITHOUT ROWID;

-- What a list shows and a redemption does not need.
CREATE TABLE client (
    hash         BLOB PRIMARY KEY REFERENCES session (hash) ON DELETE CASCADE,
    address      TEXT NOT NULL,
    id           TEXT NOT NULL,
    agent        TEXT NOT NULL,
    last_address TEXT NOT NULL DEFAULT '',
    last_id      TEXT NOT NULL DEFAULT '',
    last_agent   TEXT NOT NULL DEFAULT '',
    ended_by     TEXT NOT NULL DEFAULT '',
    label        TEXT NOT NULL DEFAULT '', -- what a person calls a token
    made_by      TEXT NOT NULL DEFAULT ''  -- who made it for its person, such as an operator
) STRICT, WITHOUT ROWID;

-- Grants that wait to be spent: one-time login passwords, authorization codes.
CREATE TABLE auth_grant (
    hash       BLOB    PRIMARY KEY,
    kind       TEXT    NOT NULL,
    sign_in    INTEGER NOT NULL REFERENCES sign_in (id) ON DELETE CASCADE,
    method     TEXT    NOT NULL, -- from here to auth_time as the session has it that it is made from
    service    TEXT    NOT NULL,
    stamp      TEXT    NOT NULL,
    login_name TEXT    NOT NULL,
    sid        TEXT    NOT NULL,
    acr        TEXT    NOT NULL,
    amr        TEXT    NOT NULL,
    auth_time  INTEGER NOT NULL,
    data       TEXT    NOT NULL, -- what its maker keeps with it
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0 -- when it was spent
) STRICT, WITHOUT ROWID;

INSERT INTO person (provider, subject, user_name, seen)
SELECT provider, subject, user_name, max(checked) FROM person_1 GROUP BY provider, subject; -- the name that was read last

INSERT INTO sign_in (id, person, provider_id, login, version, stamp, token, checked, asked, answer, gone, pending, reason, lease)
SELECT o.id, p.id, o.provider_id, o.own, o.version, o.stamp, EXISTS (SELECT 1 FROM renewal_1 r WHERE r.person = o.id), o.checked, o.asked,
    CASE o.answer WHEN 5 THEN 6 ELSE o.answer END, -- an answer that the circuit breaker withheld is lost
    o.gone, 0, '', o.lease
FROM person_1 o JOIN person p ON p.provider = o.provider AND p.subject = o.subject;

INSERT INTO identity (sign_in, body) SELECT person, body FROM facts_1;
INSERT INTO provider_token (sign_in, body, due) SELECT person, body, ended FROM renewal_1;

INSERT INTO session (hash, sign_in, person, kind, method, service, stamp, login_name, sid, acr, amr, auth_time, limits, created, expires, used, ended, reason, provider_token_hash)
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
CREATE INDEX sign_in_pending ON sign_in (pending) WHERE pending > 0;
CREATE INDEX provider_token_due ON provider_token (due) WHERE due > 0;

CREATE INDEX session_sign_in ON session (sign_in, ended);
CREATE INDEX session_person ON session (person);
CREATE UNIQUE INDEX session_provider_token ON session (provider_token_hash) WHERE provider_token_hash IS NOT NULL;

-- Those that live, and those that ended: neither looks at the others.
CREATE INDEX session_live_person ON session (person, kind) WHERE ended = 0;
CREATE INDEX session_live_expires ON session (expires) WHERE ended = 0;
CREATE INDEX session_live_used ON session (kind, used, created) WHERE ended = 0;

-- Those that ended and can be forgotten, some of them soon.
CREATE INDEX session_ended ON session (ended) WHERE ended > 0 AND provider_token_hash IS NULL;
CREATE INDEX session_ended_unused ON session (ended) WHERE ended > 0 AND provider_token_hash IS NULL AND used = 0;
CREATE INDEX session_ended_person ON session (person, kind, ended) WHERE ended > 0 AND provider_token_hash IS NULL;

CREATE INDEX auth_grant_sign_in ON auth_grant (sign_in);
CREATE INDEX auth_grant_expires ON auth_grant (expires);

-- The oldest program that can serve this schema is one that knows version 2.
INSERT OR REPLACE INTO setting (name, value) VALUES ('oldest_schema_2', CAST('2' AS BLOB));

-- The lease of the first use of a provider's refresh token, which has no session
-- yet. Leases last for seconds, so those of version 1 are dropped.
CREATE TABLE first_use (
    provider_token_hash BLOB PRIMARY KEY,
    until               INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX first_use_until ON first_use (until);

DROP TABLE claim;

-- The throttle.

DROP TABLE counted;

-- A row is a window, an address budget or a proof, which the throttle alone
-- reads. Its key and body say nothing without the sealing key.
CREATE TABLE throttle (
    key     BLOB    PRIMARY KEY,
    version INTEGER NOT NULL, -- random, another at each change
    expires INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX throttle_expires ON throttle (expires);

-- The circuit breaker.

-- One for each provider that was ever doubted.
CREATE TABLE breaker (
    provider      TEXT    PRIMARY KEY,
    since         INTEGER NOT NULL, -- when its condition first held
    tripped       INTEGER NOT NULL, -- when its condition last held
    doubted_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a replica counted of a provider within the ten minutes before at, as
-- JSON.
CREATE TABLE tally (
    provider TEXT    NOT NULL,
    replica  TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    PRIMARY KEY (provider, replica)
) STRICT, WITHOUT ROWID;

DROP TABLE doubt;
DROP TABLE undo;
DROP TABLE answers;
