package step

import (
	"errors"
	"fmt"
	"slices"

	abi "runner/step/internal/abi/runtime"
	wit "runner/step/internal/abi/types"
	types "runner/step/internal/runner_step_types"
)

// Kind is what went wrong, for a program.
type Kind uint8

const (
	Denied Kind = iota
	Unreachable
	Timeout
	NotFound
	Conflict
	CommandFailed
	Invalid
	Cancelled
	Other
)

// Error is the one error, of the host and of a step.
type Error struct {
	Kind Kind
	// One lower-case line that says what failed and names it.
	Message string
	// What helps to mend it; may be several lines, may be empty.
	Detail string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an error of this kind.
func (kind Kind) Errorf(format string, values ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, values...)}
}

// WithDetail is the same with what helps to mend it.
func (e *Error) WithDetail(detail string) *Error {
	return &Error{e.Kind, e.Message, detail}
}

// As is the error that a step ends with: the one of the host or of Errorf, also where it is wrapped, and else `other`.
// A wrapped one keeps its kind and detail and has all the text.
func As(err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return &Error{own.Kind, err.Error(), own.Detail}
	}
	return &Error{Kind: Other, Message: err.Error()}
}

// Is says whether the error is of one of these kinds.
func Is(err error, kinds ...Kind) bool {
	return err != nil && slices.Contains(kinds, As(err).Kind)
}

// pair makes Go's pair of a result. What the host has written is Go's from here on, to be collected like all else.
func pair[T any](result wit.Result[T, types.Error]) (value T, err error) {
	abi.Unpin()
	if result.IsErr() {
		e := result.Err()
		return value, &Error{Kind(e.Kind), e.Message, e.Detail}
	}
	return result.Ok(), nil
}

func only(result wit.Result[wit.Unit, types.Error]) error {
	_, err := pair(result)
	return err
}
