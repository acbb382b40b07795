package file

import "time"

// TestOnlyLookAgain makes the next use look at the htpasswd file again, as if
// a second had passed.
func (p *Provider) TestOnlyLookAgain() {
	p.htpasswd.mu.Lock()
	defer p.htpasswd.mu.Unlock()
	p.htpasswd.looked = time.Time{}
}
