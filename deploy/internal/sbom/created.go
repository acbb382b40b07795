package sbom

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// SourceDate returns the time in $SOURCE_DATE_EPOCH, seconds since 1970, which stands for
// the time of a build so that two builds of a commit are the same.
func SourceDate() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q; set it to seconds since 1970, such as $(git log -1 --format=%%ct)", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
