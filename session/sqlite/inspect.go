package sqlite

import (
	"context"
	"fmt"

	"shorepass/session"
)

// Inspect opens the file, which exists, and returns sentences on its schema. It migrates
// nothing. The error is that of Open.
func Inspect(ctx context.Context, file string) ([]string, error) {
	version := 0
	s, err := open(file, func(s *Store) error {
		return s.listReaders.with(ctx, func(c *conn) (err error) {
			version, err = readVersion(c.Conn)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("%s exists", file), session.DescribeSchema(int64(version), int64(len(migrations)))}, s.Close()
}
