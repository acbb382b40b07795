package main

import (
	"errors"
	"io/fs"
	"syscall"

	"shorepass/providers"
	"shorepass/session"
)

// Exit codes. operations.md has them.
const (
	exitError  = 1
	exitDenied = 2  // of explain --exit-code
	exitConfig = 78 // of serve; EX_CONFIG of sysexits.h
)

// exitCodeOf returns the exit code for the error of a command.
func exitCodeOf(err error) int {
	if err == nil {
		return 0
	}
	if errors.Is(err, errDenied) {
		return exitDenied
	}
	if _, ok := errors.AsType[configError](err); ok {
		return exitConfig
	}
	return exitError
}

// configError is an error of serve that lasts until a person changes the configuration or
// a file that it names: a service manager must not start the server again. What may pass
// by itself, such as a database that is down, is none, and in doubt an error is none.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// asConfigError returns err as a configError, or nil for nil.
func asConfigError(err error) error {
	if err == nil {
		return nil
	}
	return configError{err}
}

// asStoreError returns an error of opening the store, as a configError if b shows that
// the store's folder or key is wrong, or the store is of another key or program.
func asStoreError(err error, b backend) error {
	_, newer := errors.AsType[*session.NewerSchemaError](err)
	switch {
	case err == nil, errors.Is(err, session.ErrUnavailable):
		return err
	case newer, errors.Is(err, session.ErrUnreleasedSchema), errors.Is(err, session.ErrNoSealKey), errors.Is(err, session.ErrWrongSealKey):
		return configError{err}
	}
	if fault := b.check(); fault != nil {
		return configError{nameKeys(providers.WithKey(providers.KeyOf(fault), err))}
	}
	return err
}

// asFileError returns an error of opening a file or an address, as a configError if it
// is not there or refused to this user. A full disk or a port in use is no configError.
func asFileError(err error) error {
	for _, cause := range []error{fs.ErrPermission, fs.ErrNotExist, syscall.EISDIR, syscall.ENOTDIR, syscall.EROFS} {
		if errors.Is(err, cause) {
			return configError{err}
		}
	}
	return err
}
