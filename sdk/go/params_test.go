package step

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
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

func TestAWrappedErrorKeepsItsKindAndDetail(t *testing.T) {
	own := Denied.Errorf("write: no grant covers it").WithDetail("ssh = []")
	if as := As(own); *as != *own {
		t.Fatalf("%+v", as)
	}
	if !Is(own, Timeout, Denied) || Is(own, Timeout) || Is(nil, Other) {
		t.Fatal("kinds")
	}
}
