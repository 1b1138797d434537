package step

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A field as its tags have it: `json` its name, `doc`, `default` (in JSON; for text as it is), `min`, `max`, `pattern`,
// `enum` (words with commas). It may be left out with a default, with `omitempty` or `omitzero`, or when it is a pointer.
type field struct {
	reflect.StructField
	name           string
	required, omit bool
}

func fields(of reflect.Type) (all []field) {
	for one := range of.Fields() {
		name, options, _ := strings.Cut(one.Tag.Get("json"), ",")
		if one.Anonymous && name == "" {
			panic(fmt.Sprintf("%s embeds %s: give the field a name", of, one.Type))
		}
		if name == "-" || !one.IsExported() {
			continue
		}
		if name == "" {
			name = strings.ToLower(one.Name)
		}
		_, fallback := one.Tag.Lookup("default")
		omit := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		required := !fallback && !omit && one.Type.Kind() != reflect.Pointer
		all = append(all, field{one, name, required, omit})
	}
	return all
}

// The text of a default as JSON.
func (f field) fallback() (json.RawMessage, bool) {
	text, ok := f.Tag.Lookup("default")
	if ok && f.Type.Kind() == reflect.String {
		quoted, _ := json.Marshal(text)
		return quoted, true
	}
	return json.RawMessage(text), ok
}

type object = map[string]any

// The structs that it is within are told when it cannot be.
func schema(of reflect.Type, closed bool, within ...reflect.Type) object {
	switch {
	case of == reflect.TypeFor[json.RawMessage]():
		return object{}
	case of == reflect.TypeFor[json.Number]():
		return object{"type": "number"}
	case of.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch of.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Pointer:
		return schema(of.Elem(), closed, within...)
	case reflect.Slice:
		return object{"type": "array", "items": schema(of.Elem(), closed, within...)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(of.Elem(), closed, within...)}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		if slices.Contains(within, of) {
			panic(fmt.Sprintf("a %s cannot be within itself, in %s", of, within))
		}
		within = append(within, of)
		properties, required := object{}, []string{}
		for _, one := range fields(of) {
			properties[one.name] = one.schema(closed, within)
			if one.required {
				required = append(required, one.name)
			}
		}
		made := object{"type": "object", "properties": properties, "required": required}
		if closed {
			made["additionalProperties"] = false
		}
		return made
	}
	panic(fmt.Sprintf("a %s cannot be a parameter or an output, in %s", of, within))
}

func (f field) schema(closed bool, within []reflect.Type) object {
	made := schema(f.Type, closed, within...)
	for tag, key := range map[string]string{"min": "minimum", "max": "maximum"} {
		if text, ok := f.Tag.Lookup(tag); ok {
			made[key] = json.Number(text)
		}
	}
	if text, ok := f.Tag.Lookup("enum"); ok {
		made["enum"] = strings.Split(text, ",")
	}
	for tag, key := range map[string]string{"doc": "description", "pattern": "pattern"} {
		if text, ok := f.Tag.Lookup(tag); ok {
			made[key] = text
		}
	}
	if text, ok := f.fallback(); ok {
		if !json.Valid(text) {
			panic(fmt.Sprintf("the default of %s is no JSON, in %s", f.Name, within))
		}
		made["default"] = text
	}
	return made
}

func manifest[P, O any](step Step[P, O]) string {
	if step.Runs == "" {
		step.Runs = EachTarget
	}
	text, err := write(object{
		"name":          step.Name,
		"version":       step.Version,
		"summary":       step.Summary,
		"documentation": step.Documentation,
		"runs":          step.Runs,
		"parameters":    schema(reflect.TypeFor[P](), true),
		"outputs":       schema(reflect.TypeFor[O](), false),
		"capabilities":  step.Capabilities,
	})
	if err != nil {
		panic(err)
	}
	return text
}
