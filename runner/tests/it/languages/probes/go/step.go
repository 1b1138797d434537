// Does what careless authors do: what each `do` must come to is in the tests.
package main

import (
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"runner/step"
)

type Shape struct {
	Name string
	Size int `default:"1"`
}

type Params struct {
	Do   string
	Big  int              `default:"1"`
	Unit string           `json:"unit,omitempty"`
	File string           `default:"/srv/x"`
	By   map[string]Shape `default:"{}"`
	// The secret that "secrets" makes more of.
	Token string `json:"token,omitempty"`
}

type Outputs struct {
	Said     string
	Count    int
	Files    []string
	Labels   map[string]string
	Previous *string
	Ratio    *float64
}

func init() {
	step.Export(step.Step[Params, Outputs]{
		Name: "probe", Version: "0.1.0", Summary: "does what careless authors do",
		Capabilities: step.Capabilities{
			SSH:     []string{"exec-read:true", "write:/srv/x", "read:/srv/x"},
			HTTP:    []string{"GET http://probe.example.org/"},
			Secrets: []string{"${token}"},
		},
		Run: run,
	})
}

// More than a step may hold.
const many = 1100

// The first of two bytes of a letter is here, the second is not.
const cut = "gr\xc3"

func run(params Params) (outputs Outputs, err error) {
	switch params.Do {
	case "handles":
		return Outputs{Said: "held"}, handles()
	case "secrets":
		return Outputs{Said: "held"}, secrets(params.Token)
	case "answers":
		return Outputs{Said: "held"}, answers(params.File)
	case "collects":
		collects()
	case "cut":
		step.Infof("%s", cut)
		return outputs, step.Timeout.Errorf("%s", cut)
	case "cut-output":
		outputs.Said = cut
	case "nan":
		outputs.Ratio = new(math.NaN())
	case "infinite":
		outputs.Ratio = new(math.Inf(1))
	case "big":
		outputs.Count = params.Big
	case "by":
		outputs.Said = sizes(params.By)
	case "default":
		_, err = step.CurrentTarget().Write(params.File, "x", step.Keep)
	}
	return
}

func handles() error {
	for range many {
		target := step.CurrentTarget()
		target.Name()
		if _, err := step.NewCommand(step.Read, "true").Run(target); err != nil {
			return err
		}
		if _, err := step.Get("http://probe.example.org/").Send(); err != nil {
			return err
		}
	}
	return nil
}

func secrets(name string) error {
	for range many {
		token, err := step.GetSecret(name)
		if err != nil {
			return err
		}
		token.Wrap("Bearer ", "")
	}
	return nil
}

// More than the memory of a step holds at once.
func answers(file string) error {
	target := step.CurrentTarget()
	if _, err := target.Write(file, strings.Repeat("x", 1_000_000), step.Keep); err != nil {
		return err
	}
	for range 300 {
		if _, err := target.Read(file); err != nil {
			return err
		}
	}
	return nil
}

// What was held is no more, so that the runtime of Go does what it does in the background.
func collects() {
	for range 10 {
		garbage = make([]byte, 16<<20)
		garbage = nil
		runtime.GC()
	}
}

var garbage []byte

func sizes(by map[string]Shape) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		all = append(all, strconv.Itoa(by[name].Size))
	}
	return strings.Join(all, ",")
}

// Never run: the runner calls what init exports.
func main() {}
