// An OpenID provider for tests: the real oidc-provider, with the password grant,
// rotating refresh tokens whose reuse ends the grant, revocation, and a control
// port by which a test changes users and keys, makes endpoints fail, and reads
// how many requests each endpoint got.
//
//   OP_OPTIONS='{"clients":[…],"users":[…]}' node op.mjs
//
// It prints one line of JSON when it is ready ({issuer, control}) and exits when
// its standard input closes, so that it never outlives the test that started it.
// The command die writes its state to a file, which options.state restores.
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';

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

const count = (name) => { requests[name] = (requests[name] || 0) + 1; };

let issuer;
let serve;                                      // the handler of the current Provider
function build() {
  const extra = [...users.values()].flatMap((u) => Object.keys(u.claims || {}));
  const provider = new Provider(issuer, {
    adapter: Adapter,
    jwks: { keys },
    clients: clients.map((c) => ({
      client_id: c.id,
      client_secret: c.secret,
      grant_types: ['password', 'refresh_token', 'authorization_code'],
      redirect_uris: c.redirects || ['http://127.0.0.1/callback'],
      token_endpoint_auth_method: c.auth || 'client_secret_basic',
      id_token_signed_response_alg: algorithm,
      userinfo_signed_response_alg: options.signedUserinfo ? algorithm : undefined,
    })),
    clientAuthMethods: options.authMethods || ['client_secret_basic', 'client_secret_post', 'none'],
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    claims: {
      openid: ['sub', 'groups', 'realm_access', ...extra],
      profile: ['preferred_username', 'name'],
      email: ['email', 'email_verified'],
    },
    conformIdTokenClaims: Boolean(options.thinIDToken), // thin: claims at userinfo only
    cookies: { keys: ['test'] },
    features: { devInteractions: { enabled: false }, revocation: { enabled: true }, userinfo: { enabled: true }, jwtUserinfo: { enabled: true } },
    pkce: { required: () => true },
    rotateRefreshToken: options.rotate !== false,
    ttl: { AccessToken: 300, IdToken: 300, RefreshToken: 86400, Grant: 86400, Session: 3600, Interaction: 600 },
    findAccount,
  });
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route !== 'token') return;
    count(`token:${ctx.oidc.params?.grant_type}`);
    if (options.omitIDToken && ctx.body?.id_token) delete ctx.body.id_token;
  });
  provider.registerGrantType('password', passwordGrant(provider), ['username', 'password', 'scope']);
  provider.on('grant.error', (ctx, err) => { if (err.error_detail === 'refresh token already used') count('token:reused'); });
  provider.on('server_error', (ctx, err) => console.error('server_error', err));
  return provider.callback();
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
  '/.well-known/openid-configuration': 'discovery', '/auth': 'authorization',
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
  serve(req, res);
});

const listen = (server, port) => new Promise((ready) => { server.listen(port, '127.0.0.1', () => ready(server.address().port)); });

// The control port: POST /NAME with JSON, answered with JSON.
const control = {
  counts: () => requests,
  reset: () => { requests = {}; },
  user: (patch) => { users.set(patch.name, { ...users.get(patch.name), ...patch }); serve = build(); },
  remove: ({ name }) => { users.delete(name); },
  rotate: () => { keys = [makeKey(algorithm), ...keys]; serve = build(); return keys.map((k) => k.kid); },
  withdraw: () => { keys = keys.slice(0, 1); serve = build(); return keys.map((k) => k.kid); },
  fault: ({ endpoint, ...fault }) => { if (Object.keys(fault).length) faults[endpoint] = fault; else delete faults[endpoint]; },
  release: () => { faults = {}; hanging.forEach((res) => res.destroy()); hanging.clear(); },
  down: async () => { front.closeAllConnections(); await new Promise((done) => { front.close(done); }); },
  up: async () => { await listen(front, Number(new URL(issuer).port)); },
  die,
  liveRefreshTokens,
};

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
serve = build();
console.log(JSON.stringify({ issuer, control: `http://127.0.0.1:${await listen(back, 0)}` }));
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
