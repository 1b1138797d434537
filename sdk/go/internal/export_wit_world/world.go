// Package export_wit_world is what the generated exports call: the step that the SDK put here.
package export_wit_world

import (
	wit "runner/step/internal/abi/types"
	types "runner/step/internal/runner_step_types"
)

var (
	Describer func() string
	Runner    func(params string) wit.Result[string, types.Error]
)

func Describe() string {
	if Describer == nil {
		return "no step: call step.Export in init"
	}
	return Describer()
}

func Run(params string) wit.Result[string, types.Error] { return Runner(params) }
