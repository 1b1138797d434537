package step

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A field as its tags have it: `json` its name, `doc`, `default` (in JSON; for text as it is), `min`, `max`, `pattern`,
// `enum` (words with commas). It may be left out with a default, with `omitempty`, or when it is a pointer.
type field struct {
	reflect.StructField
	name     string
	required bool
}

func fields(of reflect.Type) (all []field) {
	for one := range of.Fields() {
		name, options, _ := strings.Cut(one.Tag.Get("json"), ",")
		if name == "-" || !one.IsExported() {
			continue
		}
		if name == "" {
			name = strings.ToLower(one.Name)
		}
		_, fallback := one.Tag.Lookup("default")
		optional := fallback || one.Type.Kind() == reflect.Pointer || strings.Contains(options, "omitempty")
		all = append(all, field{one, name, !optional})
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

func schema(of reflect.Type, closed bool) object {
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
		return schema(of.Elem(), closed)
	case reflect.Slice:
		return object{"type": "array", "items": schema(of.Elem(), closed)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schema(of.Elem(), closed)}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		properties, required := object{}, []string{}
		for _, one := range fields(of) {
			properties[one.name] = one.schema(closed)
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
	panic(fmt.Sprintf("a parameter cannot be a %s", of))
}

func (f field) schema(closed bool) object {
	made := schema(f.Type, closed)
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

// read makes parameters of JSON, completed with the defaults. The host has checked them against the schema.
func read[P any](given string) (params P, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(given), &members); err != nil {
		return params, Invalid.Errorf("parameters: %v", err)
	}
	into := reflect.ValueOf(&params).Elem()
	for _, one := range fields(into.Type()) {
		value, ok := members[one.name]
		if !ok {
			value, ok = one.fallback()
		}
		if !ok && one.required {
			return params, Invalid.Errorf("parameters: %s is missing", strconv.Quote(one.name))
		}
		delete(members, one.name)
		if !ok {
			continue
		}
		if err := json.Unmarshal(value, into.FieldByIndex(one.Index).Addr().Interface()); err != nil {
			return params, Invalid.Errorf("parameters: %s: %v", strconv.Quote(one.name), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		return params, Invalid.Errorf("parameters: %s is not known", strconv.Quote(name))
	}
	return params, nil
}

// write is JSON without the escapes for HTML.
func write(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}
