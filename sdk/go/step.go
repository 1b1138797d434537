// Package step is what a step of the deploy runner is written with. README.md says how; wit/ of the runner says what each
// call does.
package step

import (
	"fmt"
	"runtime/debug"

	wit "runner/step/internal/abi/types"
	world "runner/step/internal/export_wit_world"
	_ "runner/step/internal/exports"
	types "runner/step/internal/runner_step_types"
)

// Runs says where a step runs.
type Runs string

const (
	// EachTarget is what a step that does not say runs on.
	EachTarget Runs = "each-target"
	// Once per run, on no target.
	Once Runs = "once"
)

// Capabilities are templates of grants over the parameters: `write:${file}`.
type Capabilities struct {
	SSH     []string `json:"ssh,omitempty"`
	Files   []string `json:"files,omitempty"`
	HTTP    []string `json:"http,omitempty"`
	Secrets []string `json:"secrets,omitempty"`
}

// Step is what a step is: what it is called, what it needs, and what it does. The schemas come from the types P, of its
// parameters, and O, of its outputs.
type Step[P, O any] struct {
	Name, Version, Summary, Documentation string
	Runs                                  Runs
	Capabilities                          Capabilities
	Run                                   func(P) (O, error)
}

// Export makes the module this step. Call it in `init`: `main` is never run.
func Export[P, O any](step Step[P, O]) {
	world.Describer = func() (text string) {
		defer func() {
			if why := recover(); why != nil {
				// No JSON, which the runner shows.
				text = fmt.Sprint(why)
			}
		}()
		return manifest(step)
	}
	world.Runner = func(given string) (answer wit.Result[string, types.Error]) {
		defer func() {
			if bug := recover(); bug != nil {
				answer = failed(Other.Errorf("panic: %v", bug).WithDetail(string(debug.Stack())))
			}
		}()
		params, err := read[P](given)
		if err != nil {
			return failed(err)
		}
		outputs, err := step.Run(params)
		if err != nil {
			return failed(err)
		}
		text, err := write(outputs)
		if err != nil {
			return failed(fmt.Errorf("outputs: %w", err))
		}
		return wit.Ok[string, types.Error](text)
	}
}

func failed(err error) wit.Result[string, types.Error] {
	own := As(err)
	return wit.Err[string](types.Error{Kind: uint8(own.Kind), Message: valid(own.Message), Detail: valid(own.Detail)})
}
