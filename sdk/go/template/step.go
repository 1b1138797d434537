// Puts a message into a file.
package main

import (
	"fmt"

	"runner/step"
)

// What a plan gives it: `with = { message = "…", file = "…" }`.
type Params struct {
	Message string `json:"message" doc:"What to say."`
	File    string `json:"file" doc:"The file to say it in: absolute."`
}

// What later steps may refer to.
type Outputs struct {
	Changed bool `json:"changed" doc:"Whether the file is different now."`
}

func init() {
	step.Export(step.Step[Params, Outputs]{
		Name:    "{{name}}",
		Version: "0.1.0",
		Summary: "puts a message into a file",
		// What the step may touch, in terms of its parameters. All else is denied.
		Capabilities: step.Capabilities{SSH: []string{"write:${file}"}},
		Run:          run,
	})
}

func run(params Params) (Outputs, error) {
	target := step.CurrentTarget()
	line := fmt.Sprintf("%s, says %s\n", params.Message, target.Name())
	changed, err := target.Write(params.File, line, step.Mode(0o644))
	if err != nil {
		return Outputs{}, err
	}
	if changed {
		step.Infof("wrote `%s`", params.File)
	}
	return Outputs{changed}, nil
}

// Never run: the runner calls what init exports.
func main() {}
