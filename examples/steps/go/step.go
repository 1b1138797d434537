// Writes a configuration file and makes its service use it. The same step is beside this one in other languages.
package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"runner/step"
)

type Params struct {
	File string `json:"file" doc:"The file to write: absolute."`
	// With quotes, since the text has backticks in it.
	Settings map[string]string "json:\"settings\" doc:\"What it says: a line `name = value` each, in the order of the names.\""
	Check    []string          `json:"check" default:"[]" doc:"A command that must accept the file, program first. Without, nothing is asked."`
	Unit     string            `json:"unit,omitempty" doc:"The unit to restart when the file is different."`
	Health   string            `json:"health,omitempty" doc:"The URL that must answer 200 in the end, asked from the target."`
	Token    string            `json:"token,omitempty" doc:"The secret that the URL wants as a bearer token."`
	Tries    int               `json:"tries" default:"5" min:"1" max:"100" doc:"How often to ask."`
}

type Outputs struct {
	Changed bool   `json:"changed" doc:"Whether the file is different."`
	Digest  string `json:"digest" doc:"Of the file."`
	Tries   uint   `json:"tries" doc:"How often the URL was asked."`
}

func init() {
	step.Export(step.Step[Params, Outputs]{
		Name:    "config",
		Version: "0.1.0",
		Summary: "writes a configuration file and makes its service use it",
		Capabilities: step.Capabilities{
			SSH:     []string{"read:${file}", "write:${file}", "exec-read:${check...}", "service:${unit} restart"},
			HTTP:    []string{"GET ${health} from target"},
			Secrets: []string{"${token}"},
		},
		Run: run,
	})
}

func run(params Params) (outputs Outputs, err error) {
	target := step.CurrentTarget()
	step.Infof("`%s` on `%s`: %d settings", params.File, target.Name(), len(params.Settings))

	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(params.Settings)) {
		fmt.Fprintf(&text, "%s = %s\n", name, params.Settings[name])
	}
	outputs.Changed, err = target.Write(params.File, text.String(), step.Mode(0o644))
	if err != nil {
		return
	}
	if outputs.Changed && len(params.Check) > 0 {
		if _, err = step.NewCommand(step.Read, params.Check...).Run(target); err != nil {
			return
		}
	}
	if outputs.Changed && params.Unit != "" {
		if err = target.Service(params.Unit, step.Restart); err != nil {
			return
		}
	}
	if params.Health != "" {
		if outputs.Tries, err = healthy(params, target); err != nil {
			return
		}
	}
	outputs.Digest, err = target.Digest(params.File)
	return
}

// Asks until the answer is 200, and says how often it asked.
func healthy(params Params, target *step.Target) (uint, error) {
	request := step.Get(params.Health).Via(target).Timeout(2 * time.Second)
	if params.Token != "" {
		token, err := step.GetSecret(params.Token)
		if err != nil {
			return 0, err
		}
		request.HeaderSecret("authorization", token.Wrap("Bearer ", ""))
	}
	var last string
	for i := 1; i <= params.Tries; i++ {
		step.Progress(i, params.Tries, "tries")
		answer, err := request.Send()
		switch {
		case err == nil && answer.Status == 200:
			return uint(i), nil
		case err == nil:
			last = fmt.Sprintf("status %d", answer.Status)
		case step.Is(err, step.Unreachable, step.Timeout):
			last = err.Error()
		default:
			return 0, err
		}
		if i < params.Tries {
			if err := step.Sleep(100 * time.Millisecond); err != nil {
				return 0, err
			}
		}
	}
	return 0, step.Timeout.Errorf("`%s` did not answer 200 (after %d tries)", params.Health, params.Tries).WithDetail(last)
}

// Never run: the runner calls what init exports.
func main() {}
