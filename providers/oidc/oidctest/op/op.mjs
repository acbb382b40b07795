// An OpenID provider for tests: the real oidc-provider, with the password grant,
// the authorization code grant (its login and consent pages are in pages.mjs),
// rotating refresh tokens whose reuse ends the grant, revocation, logout at the
// provider and by back-channel, and a control port by which a test changes users
// and keys, makes endpoints fail, and reads how many requests each endpoint got.
//
//   OP_OPTIONS='{"clients":[…],"users":[…]}' node op.mjs
//
// It prints one line of JSON when it is ready ({issuer, control}) and exits when
// its standard input closes, so that it never outlives the test that started it.
// The command die writes its state to a file, which options.state restores.
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { SignJWT, importJWK } from 'jose';
import Provider, { errors } from 'oidc-provider';
import { interact, logoutPage, loggedOutPage } from './pages.mjs';

const options = JSON.parse(process.env.OP_OPTIONS || '{}');
const restored = options.state ? JSON.parse(readFileSync(options.state)) : {};
const clients = options.clients || [];
const users = new Map(restored.users || (options.users || []).map((u) => [u.name, u]));
let requests = restored.requests || {};         // "token", "token:password", "userinfo", "jwks", … to a count
let faults = {};                                // endpoint to {hang, slow, status, body, times}

// Keys, the newest first: it signs; the older ones stay published.
const makeKey = (alg) => {
  const pair = alg === 'EdDSA' ? generateKeyPairSync('ed25519')
    : alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...pair.privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg };
};
const algorithm = options.algorithm || 'RS256';
let keys = restored.keys || [makeKey(algorithm)];

// Users.
const bySubject = (sub) => [...users.values()].find((u) => u.sub === sub);
const claimsOf = (u) => ({
  sub: u.sub,
  preferred_username: u.name,
  name: u.name,
  email: u.email || undefined,
  email_verified: u.email ? !u.emailUnverified : undefined,
  groups: u.groups || [],
  realm_access: { roles: u.roles || [] },
  ...u.claims,
});
const findAccount = async (ctx, sub) => {
  const u = bySubject(sub);
  return u && !u.disabled ? { accountId: sub, claims: async () => claimsOf(u) } : undefined;
};

// The provider's store. It outlives a Provider object, which is replaced when
// keys or users change.
const stored = new Map(restored.stored);
const grants = new Map(restored.grants);        // grant id to the keys of its entries
class Adapter {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}/${id}`; }
  async upsert(id, payload) {
    if (options.oneToken && this.model === 'RefreshToken' && !stored.has(this.key(id))) {
      dropRefreshTokens(payload.accountId, payload.clientId); // as Dex does
    }
    stored.set(this.key(id), payload);
    if (payload.grantId) grants.set(payload.grantId, [...(grants.get(payload.grantId) || []), this.key(id)]);
  }
  async find(id) { return structuredClone(stored.get(this.key(id))); }
  async findByUid(uid) { return [...stored.values()].find((v) => v.uid === uid); }
  async findByUserCode(code) { return [...stored.values()].find((v) => v.userCode === code); }
  async consume(id) { stored.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { stored.delete(this.key(id)); }
  async revokeByGrantId(grant) {
    (grants.get(grant) || []).forEach((key) => stored.delete(key));
    grants.delete(grant);
  }
}

// dropRefreshTokens deletes all refresh tokens of a person at a client.
function dropRefreshTokens(accountId, clientId) {
  for (const [key, token] of stored) {
    if (token.kind === 'RefreshToken' && token.accountId === accountId && token.clientId === clientId) stored.delete(key);
  }
}

const count = (name) => { requests[name] = (requests[name] || 0) + 1; };

let issuer;
let current;                                    // the current Provider
let serve;                                      // its handler
let lastAuthorization = {};                     // the parameters of the last authorization request
function build() {
  const extra = [...users.values()].flatMap((u) => Object.keys(u.claims || {}));
  const provider = new Provider(issuer, {
    adapter: Adapter,
    jwks: { keys },
    clients: clients.map(clientMetadata),
    clientAuthMethods: options.authMethods
      || ['client_secret_basic', 'client_secret_post', 'none', ...clients.some((c) => c.auth === 'private_key_jwt') ? ['private_key_jwt'] : []],
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    acrValues: [...users.values()].map((u) => u.acr).filter(Boolean),
    claims: {
      openid: ['sub', 'sid', 'acr', 'amr', 'auth_time', 'groups', 'realm_access', ...extra],
      profile: ['preferred_username', 'name'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: Boolean(options.thinIDToken), // thin: claims at userinfo only
    // Browsers send cookies to every port of a host, so that each provider needs its own.
    cookies: { keys: ['test'], names: Object.fromEntries(['session', 'interaction', 'resume'].map((name) => [name, `_${name}_${new URL(issuer).port}`])) },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      userinfo: { enabled: true },
      jwtUserinfo: { enabled: true },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: !options.noLogout, logoutSource: logoutPage, postLogoutSuccessSource: loggedOutPage },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: Boolean(options.requirePAR) },
    },
    // Without the dispatcher, which refuses loopback addresses, and with a longer timeout
    // than its 2.5 s, which a busy machine exceeds.
    fetch: (url, { dispatcher, signal, ...init }) => fetch(url, { ...init, signal: AbortSignal.timeout(20_000) }),
    pkce: { required: () => true },
    rotateRefreshToken: options.rotate !== false,
    revokeGrantPolicy: (ctx) => ctx.oidc.route !== 'revocation',
    ...options.trustClients ? trusting : {},
    ttl: { AccessToken: 300, IdToken: 300, RefreshToken: 86400, Grant: 86400, Session: 3600, Interaction: 600 },
    findAccount,
  });
  provider.use(async (ctx, next) => {
    await next();
    if (!ctx.oidc) return;
    const { route, params } = ctx.oidc;
    if (route === 'token') {
      count(`token:${params?.grant_type}`);
      if (options.omitIDToken && ctx.body?.id_token) delete ctx.body.id_token;
    }
    if (route === 'authorization' && params) lastAuthorization = params.toPlainObject();
    if (route === 'revocation' && options.revokeAll && ctx.oidc.entities.RefreshToken) {
      const { accountId, clientId } = ctx.oidc.entities.RefreshToken;
      dropRefreshTokens(accountId, clientId);   // as Keycloak before 26.1 does
    }
    if (options.omitIss) omitIss(ctx);
    if (route === 'discovery') Object.assign(ctx.body, options.metadata);
  });
  provider.registerGrantType('password', passwordGrant(provider), ['username', 'password', 'scope']);
  provider.on('grant.error', (ctx, err) => { if (err.error_detail === 'refresh token already used') count('token:reused'); });
  provider.on('grant.error', (ctx, err) => console.error('grant.error', err.error_description, err.error_detail));
  provider.on('server_error', (ctx, err) => console.error('server_error', err));
  provider.on('backchannel.error', (ctx, err, client) => console.error('back-channel logout', client.clientId, err));
  current = provider;
  serve = provider.callback();
}

const clientMetadata = (c) => ({
  client_id: c.id,
  client_secret: c.secret,
  grant_types: ['password', 'authorization_code', ...c.noRefreshToken ? [] : ['refresh_token']],
  redirect_uris: c.redirects || ['http://127.0.0.1/callback'],
  post_logout_redirect_uris: c.postLogoutRedirects || [],
  token_endpoint_auth_method: c.auth || 'client_secret_basic',
  jwks: c.keys ? { keys: c.keys } : undefined,
  backchannel_logout_uri: c.backchannelLogoutURI,
  backchannel_logout_session_required: Boolean(c.backchannelLogoutURI),
  id_token_signed_response_alg: algorithm,
  userinfo_signed_response_alg: options.signedUserinfo ? algorithm : undefined,
});

// trusting has no consent page, and gives refresh tokens without prompt=consent, as
// Keycloak does.
const trusting = {
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
    grant.addOIDCScope(ctx.oidc.params.scope);
    await grant.save();
    return grant;
  },
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  expiresWithSession: () => false,
};

// omitIss makes the provider one that does not know RFC 9207.
function omitIss(ctx) {
  if (ctx.oidc.route === 'discovery') delete ctx.body.authorization_response_iss_parameter_supported;
  const location = ctx.response.get('location');
  if (!location) return;
  const url = new URL(location, issuer);
  if (!url.searchParams.has('iss')) return;
  url.searchParams.delete('iss');
  ctx.set('location', url.href);
}

const passwordGrant = (provider) => async (ctx) => {
  const { params, client } = ctx.oidc;
  const u = users.get(params.username);
  if (!u || u.disabled || u.password !== params.password) throw new errors.InvalidGrant('invalid user credentials');
  const account = await findAccount(ctx, u.sub);
  ctx.oidc.entity('Account', account);
  const scope = params.scope || 'openid';
  const grant = new provider.Grant({ accountId: u.sub, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const made = { accountId: u.sub, client, grantId: await grant.save(), gty: 'password', scope };
  const access = new provider.AccessToken(made);
  const now = Math.floor(Date.now() / 1000);
  const body = { access_token: await access.save(), expires_in: access.expiration, token_type: 'Bearer', scope };
  if (scope.split(' ').includes('offline_access')) {
    body.refresh_token = await new provider.RefreshToken({ ...made, authTime: now, rotations: 0 }).save();
  }
  if (scope.split(' ').includes('openid')) {
    const token = new provider.IdToken(options.thinIDToken ? { sub: u.sub } : await account.claims(), { ctx });
    token.scope = scope;
    body.id_token = await token.issue({ use: 'idtoken' });
  }
  ctx.body = body;
};

const endpoints = {
  '/token': 'token', '/me': 'userinfo', '/jwks': 'jwks', '/token/revocation': 'revocation',
  '/.well-known/openid-configuration': 'discovery', '/auth': 'authorization', '/request': 'par', '/session/end': 'logout',
};

const hanging = new Set();                      // responses that wait for release
let pending = 0;                                // requests whose response has not ended
const front = http.createServer((req, res) => {
  pending++;
  res.on('close', () => { pending--; });
  const name = endpoints[req.url.split('?')[0]] || 'other';
  count(name);
  const fault = faults[name];
  if (fault && (fault.times === undefined || fault.times-- > 0)) {
    if (fault.hang) { hanging.add(res); req.resume(); return; }
    if (fault.slow) {
      const end = res.end.bind(res);
      res.end = (...last) => { setTimeout(end, fault.slow, ...last); return res; };
      serve(req, res);
      return;
    }
    res.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
    res.end(fault.body || '{}');
    return;
  }
  if (req.url.startsWith('/interaction/')) interact(current, (login) => users.get(login), req, res);
  else serve(req, res);
});

const listen = (server, port) => new Promise((ready) => { server.listen(port, '127.0.0.1', () => ready(server.address().port)); });

// The control port: POST /NAME with JSON, answered with JSON.
const control = {
  counts: () => requests,
  reset: () => { requests = {}; },
  user: (patch) => { users.set(patch.name, { ...users.get(patch.name), ...patch }); build(); },
  remove: ({ name }) => { users.delete(name); },
  rotate: () => { keys = [makeKey(algorithm), ...keys]; build(); return keys.map((k) => k.kid); },
  withdraw: () => { keys = keys.slice(0, 1); build(); return keys.map((k) => k.kid); },
  fault: ({ endpoint, ...fault }) => { if (Object.keys(fault).length) faults[endpoint] = fault; else delete faults[endpoint]; },
  release: () => { faults = {}; hanging.forEach((res) => res.destroy()); hanging.clear(); },
  down: async () => { front.closeAllConnections(); await new Promise((done) => { front.close(done); }); },
  up: async () => { await listen(front, Number(new URL(issuer).port)); },
  die,
  liveRefreshTokens,
  lastAuthorization: () => lastAuthorization,
  endSessions,
  sign,
};

// sign signs claims with the newest key. A member of the header that is null is left out.
async function sign({ header, claims }) {
  const all = Object.entries({ alg: algorithm, kid: keys[0].kid, ...header }).filter(([, value]) => value !== null);
  return new SignJWT(claims).setProtectedHeader(Object.fromEntries(all)).sign(await importJWK(keys[0], algorithm));
}

// endSessions ends a person's sessions, as an administrator does, and sends the logout
// tokens. It returns how many clients took theirs.
async function endSessions({ name }) {
  let sent = 0;
  for (const [key, session] of stored) {
    if (session.kind !== 'Session' || session.accountId !== users.get(name).sub) continue;
    stored.delete(key);
    for (const [id, { sid }] of Object.entries(session.authorizations || {})) {
      const client = await current.Client.find(id);
      if (!client.backchannelLogoutUri) continue;
      await client.backchannelLogout(session.accountId, sid);
      sent++;
    }
  }
  return sent;
}


// die writes the state to a file, as a provider's database would have it, and kills
// the process as kill -9 does. It waits for the pending requests first: a token
// that was rotated without an answer would be lost whatever the client does.
async function die({ state }) {
  while (pending > 0) await new Promise(setImmediate);
  writeFileSync(state, JSON.stringify({ users: [...users], requests, keys, stored: [...stored], grants: [...grants] }), { mode: 0o600 });
  process.kill(process.pid, 'SIGKILL');
}

// liveRefreshTokens counts the valid refresh tokens, by user name.
function liveRefreshTokens() {
  const tokens = {};
  for (const token of stored.values()) {
    const name = token.kind === 'RefreshToken' && !token.consumed && bySubject(token.accountId)?.name;
    if (name) tokens[name] = (tokens[name] || 0) + 1;
  }
  return tokens;
}

const back = http.createServer(async (req, res) => {
  let text = '';
  for await (const chunk of req) text += chunk;
  try {
    const answer = await control[req.url.slice(1)](text ? JSON.parse(text) : {});
    res.end(JSON.stringify(answer ?? null));
  } catch (err) {
    res.writeHead(500);
    res.end(String(err));
  }
});

issuer = `http://127.0.0.1:${await listen(front, Number(options.port || 0))}`;
build();
console.log(JSON.stringify({ issuer, control: `http://127.0.0.1:${await listen(back, 0)}` }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
