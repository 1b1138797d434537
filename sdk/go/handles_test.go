package step

import (
	"runtime"
	"testing"
)

type lent struct{ left *int }

func (l lent) Drop() { *l.left-- }

func TestWhatNothingRefersToIsGivenBack(t *testing.T) {
	left, most, used := 0, 0, 1
	kept := held(new("in use"), lent{&used})
	for range 2000 {
		left++
		most = max(most, left)
		held(new("not in use"), lent{&left})
	}
	runtime.KeepAlive(kept)
	if most > 300 || used != 1 {
		t.Fatal(most, used)
	}
}
