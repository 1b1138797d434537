package step

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	world "runner/step/internal/export_wit_world"
)

type given struct {
	Name     string            `json:"name" doc:"A \"name\"."`
	Unit     *string           `json:"unit"`
	Token    string            `json:"token,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
	Check    []string          `json:"check" default:"[\"x\"]"`
	Tries    uint8             `json:"tries" default:"5" min:"1" max:"100"`
	Kind     string            `json:"kind" default:"one" enum:"one,two"`
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	least, err := read[given](`{"name":"n"}`)
	if err != nil {
		t.Fatal(err)
	}
	if least.Unit != nil || least.Tries != 5 || least.Kind != "one" || !reflect.DeepEqual(least.Check, []string{"x"}) {
		t.Fatalf("%+v", least)
	}
	all, err := read[given](`{"name":"\u00e4\ud83d\ude00","unit":"","check":[],"tries":100,"settings":{"a":"b"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if all.Name != "ä😀" || *all.Unit != "" || len(all.Check) != 0 || all.Tries != 100 || all.Settings["a"] != "b" {
		t.Fatalf("%+v", all)
	}
}

func TestWhatDoesNotFitIsRefusedByName(t *testing.T) {
	for text, why := range map[string]string{
		`[]`:                      "parameters: ",
		`{}`:                      `parameters: "name" is missing`,
		`{"name":7}`:              `parameters: "name": `,
		`{"name":"n","naem":1}`:   `parameters: "naem" is not known`,
		`{"name":"n","tries":-1}`: `parameters: "tries": `,
	} {
		_, err := read[given](text)
		if !Is(err, Invalid) || !strings.HasPrefix(err.Error(), why) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheSchemaHasWhatTheTypeAndItsTagsSay(t *testing.T) {
	text, err := write(schema(reflect.TypeFor[given](), true))
	if err != nil {
		t.Fatal(err)
	}
	var made, wanted any
	_ = json.Unmarshal([]byte(text), &made)
	_ = json.Unmarshal([]byte(`{
		"type": "object", "additionalProperties": false, "required": ["name"],
		"properties": {
			"name": {"type": "string", "description": "A \"name\"."},
			"unit": {"type": "string"},
			"token": {"type": "string"},
			"settings": {"type": "object", "additionalProperties": {"type": "string"}},
			"check": {"type": "array", "items": {"type": "string"}, "default": ["x"]},
			"tries": {"type": "integer", "minimum": 1, "maximum": 100, "default": 5},
			"kind": {"type": "string", "enum": ["one", "two"], "default": "one"}
		}
	}`), &wanted)
	if !reflect.DeepEqual(made, wanted) {
		t.Fatalf("%v\ninstead of\n%v", made, wanted)
	}
}

type shape struct {
	Name string
	Size int `default:"1"`
}

type nested struct {
	By   map[string]shape `default:"{}"`
	All  []*shape         `default:"[{\"name\":\"x\"}]"`
	At   map[uint8]string `default:"{}"`
	When *time.Time
	Any  any `json:"any,omitempty"`
}

func TestADefaultIsAlsoInATableOfTables(t *testing.T) {
	some, err := read[nested](`{"by":{"a":{"name":"n"},"b":{"name":"n","size":2}},"at":{"7":"x"},"when":"2026-01-02T03:04:05Z"}`)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(some.By, map[string]shape{"a": {"n", 1}, "b": {"n", 2}}) || *some.All[0] != (shape{"x", 1}) {
		t.Fatalf("%+v", some)
	}
	if some.At[7] != "x" || some.When.Unix() != 1767323045 {
		t.Fatalf("%+v", some)
	}
	for text, why := range map[string]string{
		`{"by":{"a":{}}}`:                      `parameters: "by.a.name" is missing`,
		`{"by":{"a":{"name":"n","length":2}}}`: `parameters: "by.a.length" is not known`,
		`{"all":[{"name":"n"},{"name":true}]}`: `parameters: "all.1.name": json: cannot unmarshal bool into Go value of type string`,
		`{"at":{"300":"x"}}`:                   `parameters: "at.300": json: cannot unmarshal number 300 into Go value of type uint8`,
	} {
		if _, err := read[nested](text); !Is(err, Invalid) || err.Error() != why {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestANumberOfAnyIsNoOtherOne(t *testing.T) {
	some, err := read[nested](`{"any":[9007199254740993]}`)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := write(some.Any); text != "[9007199254740993]" || err != nil {
		t.Fatal(text, err)
	}
}

type answered struct {
	Changed bool
	Files   []string
	Labels  map[string]*string
	Shapes  []shape
	Unit    *string
	Note    string `json:"note,omitempty"`
	Empty   []int  `json:"empty,omitempty"`
	Zero    shape  `json:"zero,omitzero"`
	When    time.Time
	Raw     json.RawMessage
	Number  json.Number
	Bytes   []byte
	hidden  chan int
}

func TestOutputsAreAsTheirSchemaHasThem(t *testing.T) {
	text, err := write(schema(reflect.TypeFor[answered](), false))
	if err != nil {
		t.Fatal(err)
	}
	var has struct {
		Required   []string
		Properties map[string]any
	}
	_ = json.Unmarshal([]byte(text), &has)
	if !reflect.DeepEqual(has.Properties["raw"], object{}) || !reflect.DeepEqual(has.Properties["number"], object{"type": "number"}) {
		t.Error(text)
	}
	for value, wanted := range map[*answered]string{
		{}: `{"bytes":[],"changed":false,"files":[],"labels":{},"number":0,"raw":null,"shapes":[],"when":"0001-01-01T00:00:00Z"}`,
		{true, []string{"<a>"}, map[string]*string{"a": new("b"), "c": nil}, []shape{{"n", 2}}, new("u"), "n", []int{0}, shape{Size: 1},
			time.Unix(0, 0).UTC(), json.RawMessage(`{"a":1}`), "1.50", []byte{1}, nil}: `{"bytes":[1],"changed":true,"empty":[0],"files":["<a>"],` +
			`"labels":{"a":"b"},"note":"n","number":1.50,"raw":{"a":1},"shapes":[{"name":"n","size":2}],"unit":"u",` +
			`"when":"1970-01-01T00:00:00Z","zero":{"name":"","size":1}}`,
	} {
		text, err := write(*value)
		if text != wanted || err != nil {
			t.Errorf("%s\ninstead of\n%s: %v", text, wanted, err)
		}
		var members object
		_ = json.Unmarshal([]byte(text), &members)
		for _, name := range has.Required {
			if _, ok := members[name]; !ok {
				t.Errorf("%s has no %s", text, name)
			}
		}
		for name := range members {
			if _, ok := has.Properties[name]; !ok {
				t.Errorf("%s has %s", text, name)
			}
		}
	}
}

// What a step answers that ends with this, and how.
func ends[O any](outputs O, err error) (string, error) {
	Export(Step[struct{}, O]{Run: func(struct{}) (O, error) { return outputs, err }})
	return pair(world.Runner("{}"))
}

type level int

func (level) String() string { return "high" }

func TestAKeyIsWrittenAsItIsRead(t *testing.T) {
	text, err := write(map[level]bool{1: true})
	if err != nil || text != `{"1":true}` {
		t.Error(text, err)
	}
	text, err = write(map[time.Month]map[uint8]int{time.May: {7: 8}})
	if err != nil || text != `{"5":{"7":8}}` {
		t.Error(text, err)
	}
}

func TestANumberThatIsNoneIsNamed(t *testing.T) {
	type ratios struct {
		Ratio *float64
		By    map[string][]float32
	}
	for name, outputs := range map[string]ratios{
		"ratio":  {Ratio: new(math.NaN())},
		"by.a.1": {By: map[string][]float32{"a": {1, float32(math.Inf(-1))}}},
	} {
		_, err := ends(outputs, nil)
		if !Is(err, Other) || err.Error() != "outputs: `"+name+"` is not a finite number" {
			t.Errorf("%v", err)
		}
	}
}

func TestTextThatWasCutIsMended(t *testing.T) {
	cut := "😀"[:3]
	text, err := ends(map[string][]string{cut: {"a" + cut + "b"}}, nil)
	if text != "{\"\ufffd\":[\"a\ufffdb\"]}" || err != nil {
		t.Error(text, err)
	}
	_, err = ends(0, Timeout.Errorf("a%s", cut).WithDetail(cut))
	if as := As(err); *as != (Error{Timeout, "a\ufffd", "\ufffd"}) {
		t.Error(as)
	}
}

func describes[P, O any]() string {
	Export(Step[P, O]{Name: "n"})
	return world.Describe()
}

type wave struct{ At complex128 }

type waves struct{ By map[string]wave }

type embeds struct{ shape }

type unquoted struct {
	Yes bool `default:"yes"`
}

type endless struct{ More []endless }

func TestWhatIsWrongWithAStepIsSaid(t *testing.T) {
	world.Describer = nil
	for why, text := range map[string]string{
		"no step: call step.Export in init":                                          world.Describe(),
		"a complex128 cannot be a parameter or an output, in [step.waves step.wave]": describes[waves, int](),
		"step.embeds embeds step.shape: give the field a name":                       describes[struct{}, embeds](),
		"a step.endless cannot be within itself, in [step.endless]":                  describes[endless, int](),
		"the default of Yes is no JSON, in [step.unquoted]":                          describes[unquoted, int](),
	} {
		if text != why {
			t.Errorf("%s\ninstead of\n%s", text, why)
		}
	}
	if text := describes[given, answered](); !json.Valid([]byte(text)) {
		t.Error(text)
	}
}

func TestAWrappedErrorKeepsItsKindAndDetail(t *testing.T) {
	own := Denied.Errorf("write: no grant covers it").WithDetail("ssh = []")
	if as := As(own); *as != *own {
		t.Fatalf("%+v", as)
	}
	if !Is(own, Timeout, Denied) || Is(own, Timeout) || Is(nil, Other) {
		t.Fatal("kinds")
	}
}
