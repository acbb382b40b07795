package file

import (
	"os"
	"time"
)

// TestOnlyLookAgain makes the next use look at the htpasswd file again, as if
// the files had been written long enough ago.
func (p *Provider) TestOnlyRecheck() {
	p.htpasswd.mu.Lock()
	defer p.htpasswd.mu.Unlock()
	p.htpasswd.checkedAt = time.Time{}
	for i, f := range p.htpasswd.fileStates() {
		if f.Exists() {
			then := f.ModTime().Add(-minFileAge)
			_ = os.Chtimes([]string{p.htpasswd.path, p.htpasswd.groups}[i], then, then)
		}
	}
}
