// The pages of the OpenID provider for tests: login, consent and logout. They work
// without JavaScript, and oidctest.Browser fills them as a person does.

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title, body) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title></head>
<body><h1>${title}</h1>
${body}
</body></html>`;

const form = (action, fields, button) => `<form method="post" action="${escape(action)}">
${fields}
<button name="answer" value="continue">${button}</button>
<button name="answer" value="cancel" formnovalidate>Cancel</button>
</form>`;

const loginPage = (action, hint, problem) => page('Test provider: sign in', `<p role="alert">${problem}</p>
${form(action, `<label>Login <input name="login" autocomplete="username" value="${escape(hint)}"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>`, 'Sign in')}`);

const consentPage = (action, client, scope) => page('Test provider: consent', `<p>${escape(client)} asks for: ${escape(scope)}</p>
${form(action, '', 'Allow')}`);

const read = async (req) => {
  let text = '';
  for await (const chunk of req) text += chunk;
  return new URLSearchParams(text);
};

// interact serves the page of an interaction, and its form. user returns the account
// with a login name.
export async function interact(provider, user, req, res) {
  try {
    const interaction = await provider.interactionDetails(req, res);
    const { prompt, params } = interaction;
    const show = (html) => { res.setHeader('content-type', 'text/html; charset=utf-8'); res.end(html); };
    const login = (problem) => show(loginPage(req.url, params.login_hint ?? '', problem));
    if (req.method !== 'POST') {
      return prompt.name === 'login' ? login('') : show(consentPage(req.url, params.client_id, params.scope));
    }
    const fields = await read(req);
    if (fields.get('answer') === 'cancel') {
      return await provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'the person cancelled' });
    }
    if (prompt.name !== 'login') return await provider.interactionFinished(req, res, { consent: await consent(provider, interaction) });
    const u = user(fields.get('login'));
    if (!u || u.disabled || u.password !== fields.get('password')) return login('Wrong login or password.');
    return await provider.interactionFinished(req, res, {
      login: { accountId: u.sub, acr: u.acr, amr: u.amr, ts: Math.floor(Date.now() / 1000) - (u.authAge || 0) },
    }, { mergeWithLastSubmission: false });
  } catch (err) {
    res.writeHead(400, { 'content-type': 'text/plain' });
    return res.end(String(err));
  }
}

// consent stores a grant of its own for each login, so that the end of one ends no other.
async function consent(provider, { params, session }) {
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return { grantId: await grant.save() };
}

// logoutPage asks the person. form is the form of oidc-provider, without a button.
export function logoutPage(ctx, form) {
  ctx.body = page('Test provider: sign out', `${form}
<button form="op.logoutForm" name="logout" value="yes">Sign out</button>
<button form="op.logoutForm">Stay</button>`);
}

export function loggedOutPage(ctx) {
  ctx.body = page('Test provider: signed out', '<p>You are signed out.</p>');
}
