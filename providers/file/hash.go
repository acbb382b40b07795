package file

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"shorepass/internal/secret"
)

// The argon2id parameters of Hash: 19 MiB, two passes, one lane, the minimum of
// OWASP's password storage cheat sheet.
const (
	hashMemory = 19 << 10 // KiB
	hashPasses = 2
	hashLanes  = 1
	saltBytes  = 16
	keyBytes   = 32
)

// Limits of the parameters of a configured hash, so that a mistyped number cannot
// take the server down at the first login.
const (
	maxMemory     = 1 << 20 // KiB, 1 GiB
	maxPasses     = 16
	maxWork       = 4 << 20 // KiB times passes: some three seconds
	maxLanes      = 16
	maxSaltBytes  = 64
	maxKeyBytes   = 64
	maxBcryptCost = 16 // some four seconds
)

// hash is a user's password hash.
type hash interface {
	// matches reports whether the password is right, with a constant-time
	// comparison.
	matches(password []byte) bool
}

// Hash returns the argon2id hash of a password in PHC string format, for the
// password key of a user.
func Hash(password secret.Text) (string, error) {
	if password.IsZero() {
		return "", errors.New("hash a password: an empty password cannot log in")
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password.Reveal()), salt, hashPasses, hashMemory, hashLanes, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashPasses, hashLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// parseHash parses an argon2id or bcrypt hash and checks its parameters against
// the limits above. An error never quotes the text, which may be a password in
// the wrong place.
func parseHash(line string) (hash, error) {
	switch {
	case strings.HasPrefix(line, "$argon2id$"):
		return parseArgon2id(line)
	case strings.HasPrefix(line, "$2y$"), strings.HasPrefix(line, "$2a$"), strings.HasPrefix(line, "$2b$"):
		return parseBcrypt(line)
	case strings.HasPrefix(line, "$argon2i$"), strings.HasPrefix(line, "$argon2d$"):
		return nil, errors.New("is an argon2i or argon2d hash; only argon2id is accepted")
	}
	return nil, errors.New("is neither an argon2id nor a bcrypt hash; write the line that \"shorepass hash\" prints")
}

type bcryptHash []byte

func parseBcrypt(line string) (hash, error) {
	cost, err := bcrypt.Cost([]byte(line))
	if err != nil || len(line) != 60 {
		return nil, errors.New("begins like a bcrypt hash but is not one; these have 60 characters")
	}
	if cost > maxBcryptCost {
		return nil, fmt.Errorf("has the bcrypt cost %d; at most %d is accepted, since each login takes that time", cost, maxBcryptCost)
	}
	return bcryptHash(line), nil
}

func (h bcryptHash) matches(password []byte) bool {
	return bcrypt.CompareHashAndPassword(h, password) == nil
}

type argon2idHash struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

func (h *argon2idHash) matches(password []byte) bool {
	key := argon2.IDKey(password, h.salt, h.passes, h.memory, h.lanes, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

// parseArgon2id parses the PHC string format:
// $argon2id$v=19$m=…,t=…,p=…$salt$key.
func parseArgon2id(line string) (hash, error) {
	fields := strings.Split(line, "$")
	if len(fields) != 6 {
		return nil, errors.New("begins like an argon2id hash but is not one: these look like $argon2id$v=19$m=…,t=…,p=…$salt$key")
	}
	if fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, fmt.Errorf("is an argon2id hash of another version than %d", argon2.Version)
	}
	parameters := strings.Split(fields[3], ",")
	if len(parameters) != 3 {
		return nil, errors.New("an argon2id hash has the parameters m, t and p, in this order")
	}
	memory, errM := parseParameter(parameters[0], "m", 8, maxMemory)
	passes, errT := parseParameter(parameters[1], "t", 1, maxPasses)
	lanes, errP := parseParameter(parameters[2], "p", 1, maxLanes)
	if err := errors.Join(errM, errT, errP); err != nil {
		return nil, err
	}
	if memory*passes > maxWork {
		return nil, fmt.Errorf("an argon2id hash of m=%d,t=%d takes seconds at each login; at most %d for m times t is accepted", memory, passes, maxWork)
	}
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(fields[4])
	key, errKey := base64.RawStdEncoding.Strict().DecodeString(fields[5])
	if errSalt != nil || errKey != nil {
		return nil, errors.New("salt and key of an argon2id hash are base64 without padding")
	}
	if len(salt) < 8 || len(salt) > maxSaltBytes || len(key) < 16 || len(key) > maxKeyBytes {
		return nil, fmt.Errorf("an argon2id hash has a salt of 8 to %d bytes and a key of 16 to %d", maxSaltBytes, maxKeyBytes)
	}
	return &argon2idHash{memory: uint32(memory), passes: uint32(passes), lanes: uint8(lanes), salt: salt, key: key}, nil
}

// parseParameter parses "name=number".
func parseParameter(text, name string, least, most uint64) (uint64, error) {
	digits, ok := strings.CutPrefix(text, name+"=")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || n < least || n > most {
		return 0, fmt.Errorf("the parameter %s of an argon2id hash is a number from %d to %d", name, least, most)
	}
	return n, nil
}
