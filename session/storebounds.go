package session

// The bounds that every store enforces.
const (
	// MaxWindows bounds the rows of the throttle. Each sweep deletes those beyond
	// it that expire first.
	MaxWindows = 1_000_000

	// DeleteBatch bounds how many ended sessions [SessionStore].Create deletes, and
	// how many grants [GrantStore].PutGrant does.
	DeleteBatch = 200
)
