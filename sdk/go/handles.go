package step

import (
	"runtime"
	"slices"
	"weak"
)

// What the host has for the step, each as a function that gives it back, and is true, when nothing refers to it any more.
// No cleanup does it: one may run while the host puts an answer into memory, when no call is allowed.
var handles []func() bool

var taken int

// held is what has the handle. The host has 1024 for a step at most: they are looked through long before.
func held[H any](of *H, own interface{ Drop() }) *H {
	seen := weak.Make(of)
	handles = append(handles, func() bool {
		unused := seen.Value() == nil
		if unused {
			own.Drop()
		}
		return unused
	})
	if taken++; taken%256 == 0 {
		runtime.GC()
		handles = slices.DeleteFunc(handles, func(unused func() bool) bool { return unused() })
	}
	return of
}
