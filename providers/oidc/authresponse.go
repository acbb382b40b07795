package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// authorizationErrors are the error codes of an authorization response that are passed on
// (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6; OpenID Connect
// Core Error Code unmet_authentication_requirements 1.0). Any other is otherError.
var authorizationErrors = []string{
	"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
	"server_error", "temporarily_unavailable",
	"interaction_required", "login_required", "account_selection_required", "consent_required",
	"invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported",
	"unmet_authentication_requirements",
}

const otherError = "other"

// RedeemCode implements [providers.BrowserSignIn]. Nothing of the response but its code is
// sent anywhere, and errors quote nothing of it: the person who comes back chooses it.
func (p *Provider) RedeemCode(ctx context.Context, response providers.AuthorizationResponse) (*providers.SignedIn, error) {
	m, err := p.readyMetadata(ctx)
	if err != nil {
		return nil, err
	}
	code, err := p.checkResponse(m, response)
	if err != nil {
		return nil, err
	}
	got, err := p.client.codeGrant(ctx, m, code, response.Request)
	if err != nil {
		return nil, p.probeAfterCode(ctx, m, err)
	}
	ctx, cancel := detachedContext(ctx, maxTimeout) // the code is used up, so finish
	defer cancel()
	signedIn, err := p.signedIn(ctx, m, got, response.Request)
	if err != nil {
		p.revokeUnused(ctx, m, got)
		return nil, providers.NotCounted(err) // the provider took the code, so that no stranger made it up
	}
	return signedIn, nil
}

// probeAfterCode finds out whether a failed code grant says something of the provider's
// health, and marks the error with [providers.NotCounted] if it does. The person who comes
// back chooses the code, so that an error alone says nothing: where it blames our client,
// the provider is asked about that with a made-up token.
func (p *Provider) probeAfterCode(ctx context.Context, m *metadata, err error) error {
	if providers.KeyOf(err) == "" {
		return p.probeAfter(ctx, err)
	}
	ctx, cancel := detachedContext(ctx, maxTimeout)
	defer cancel()
	if p.checkClient(ctx, m).Severity == providers.SeverityFault {
		return providers.NotCounted(err)
	}
	return err
}

// checkResponse returns the code of an authorization response that answers the request
// (RFC 6749, section 4.1.2; RFC 9207, section 2.4), before anything of it is used. State
// and issuer come first, since the error may be that of another provider or request. The
// caller has found the request by the state, so that it may be missing.
func (p *Provider) checkResponse(m *metadata, response providers.AuthorizationResponse) (string, error) {
	params := response.Params
	for _, values := range params {
		if len(values) != 1 {
			return "", rejectResponse("a parameter is there twice")
		}
	}
	if params.Has("state") && !equal(params.Get("state"), response.Request.State) {
		return "", rejectResponse("its state is not that of the request")
	}
	if m.promisesIss && !params.Has("iss") {
		return "", rejectResponse("it has no iss, which the provider's discovery document promises")
	}
	if params.Has("iss") && params.Get("iss") != p.cfg.Issuer {
		return "", rejectResponse("its iss is not the issuer")
	}
	switch {
	case params.Has("error") && params.Has("code"):
		return "", rejectResponse("it has both a code and an error")
	case params.Has("error"):
		return "", &providers.AuthorizationError{Code: authorizationErrorCode(params)}
	case params.Get("code") == "":
		return "", rejectResponse("it has no code")
	}
	return params.Get("code"), nil
}

func authorizationErrorCode(params url.Values) string {
	if code := params.Get("error"); slices.Contains(authorizationErrors, code) {
		return code
	}
	return otherError
}

func rejectResponse(problem string) error {
	return fmt.Errorf("%w: the authorization response: %s", providers.ErrRejected, problem)
}

// equal compares in constant time. An empty text equals nothing.
func equal(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// signedIn returns the identity in the token response to a code.
func (p *Provider) signedIn(ctx context.Context, m *metadata, got tokens, request providers.AuthorizationRequest) (*providers.SignedIn, error) {
	switch {
	case request.Nonce == "":
		return nil, fmt.Errorf("%w: the authorization request has no nonce", providers.ErrRejected)
	case got.id == "":
		return nil, fmt.Errorf("%s gave no ID token for an authorization code", p.cfg.Issuer)
	}
	sets, err := p.readClaims(ctx, m, got, request.Nonce)
	if errors.Is(err, errWrongNonce) {
		return nil, fmt.Errorf("%w: %w", providers.ErrRejected, err)
	}
	if err != nil {
		return nil, err
	}
	claims := sets[0] // those of the ID token
	id, err := p.mapper.identity(ctx, sets)
	if err != nil {
		return nil, err
	}
	if err := p.checkSignIn(id); err != nil {
		return nil, err
	}
	authTime, told := claims.authTime()
	made := request.Made
	if made.IsZero() {
		made = time.Now()
	}
	if limit := p.maxAge(request); told && limit > 0 && made.Sub(authTime) > limit+clockSkew {
		return nil, fmt.Errorf("%w: the person authenticated at the provider longer ago than max_age, %s", providers.ErrRejected, limit)
	}
	id.AuthTime = authTime // zero if it is not told
	id.ACR, id.AMR = claims.authentication()
	if p.cfg.grants(grantRefresh) {
		id.RefreshToken = secret.New(got.refresh)
		if request.Consent {
			p.warnIfNoRefreshToken(m, got)
		}
	}
	needsConsent := got.refresh == "" && !request.Consent && p.mayNeedConsent(m)
	return &providers.SignedIn{Identity: id, SID: claims.sid(), NeedsConsent: needsConsent}, nil
}

// mayNeedConsent reports whether the provider may give the refresh token that is wanted only
// together with consent, as it may for the scope offline_access (OpenID Connect Core 1.0,
// section 11) and as Google does. Where prompt has consent, it was asked for already. Entra ID
// asks for a missing consent by itself, and answers prompt=consent with a page that only an
// administrator gets past where people may not consent (AADSTS90094), although the
// administrator consented for all before.
func (p *Provider) mayNeedConsent(m *metadata) bool {
	if !p.cfg.grants(grantRefresh) || slices.Contains(p.cfg.Prompt, promptConsent) || p.cfg.isEntra() {
		return false
	}
	return m.asksOfflineAccess(p.cfg) || p.cfg.Issuer == googleIssuer
}

// maxSID bounds a sid claim, in bytes.
const maxSID = 256

// sid returns the provider's session (OpenID Connect Back-Channel Logout 1.0, section
// 2.1), "" for a malformed one.
func (c claimSet) sid() string {
	sid, _ := c["sid"].(string)
	if providers.TextProblem(sid) != "" || len(sid) > maxSID {
		return ""
	}
	return sid
}
