package file

import (
	"os"
	"time"
)

// TestOnlyRecheck makes the next use check the files again, as if they were older
// than minFileAge.
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
