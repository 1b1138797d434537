package step

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// read makes parameters of JSON, completed with the defaults. The host has checked them against the schema.
func read[P any](given string) (params P, err error) {
	if err := fill(reflect.ValueOf(&params).Elem(), []byte(given), ""); err != nil {
		return params, Invalid.Errorf("parameters: %v", err)
	}
	return params, nil
}

// fill is by the same walk as the schema; `at` is where in the parameters this is.
func fill(into reflect.Value, given json.RawMessage, at string) error {
	switch into.Addr().Interface().(type) {
	case json.Unmarshaler, encoding.TextUnmarshaler:
		return decode(given, into.Addr().Interface(), at)
	}
	switch into.Kind() {
	case reflect.Pointer:
		if string(given) == "null" {
			return nil
		}
		into.Set(reflect.New(into.Type().Elem()))
		return fill(into.Elem(), given, at)
	case reflect.Slice:
		return fillSlice(into, given, at)
	case reflect.Map:
		return fillMap(into, given, at)
	case reflect.Struct:
		return fillStruct(into, given, at)
	}
	return decode(given, into.Addr().Interface(), at)
}

func fillSlice(into reflect.Value, given json.RawMessage, at string) error {
	var elements []json.RawMessage
	if err := decode(given, &elements, at); err != nil {
		return err
	}
	into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
	for i, element := range elements {
		if err := fill(into.Index(i), element, below(at, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

func fillMap(into reflect.Value, given json.RawMessage, at string) error {
	var members map[string]json.RawMessage
	if err := decode(given, &members, at); err != nil {
		return err
	}
	into.Set(reflect.MakeMap(into.Type()))
	for name, member := range members {
		key, value := reflect.New(into.Type().Key()).Elem(), reflect.New(into.Type().Elem()).Elem()
		text := []byte(name)
		if !key.CanInt() && !key.CanUint() {
			text, _ = json.Marshal(name)
		}
		if err := decode(text, key.Addr().Interface(), below(at, name)); err != nil {
			return err
		}
		if err := fill(value, member, below(at, name)); err != nil {
			return err
		}
		into.SetMapIndex(key, value)
	}
	return nil
}

func fillStruct(into reflect.Value, given json.RawMessage, at string) error {
	var members map[string]json.RawMessage
	if err := decode(given, &members, at); err != nil {
		return err
	}
	for _, one := range fields(into.Type()) {
		value, ok := members[one.name]
		if !ok {
			value, ok = one.fallback()
		}
		if !ok && one.required {
			return fmt.Errorf("%q is missing", below(at, one.name))
		}
		delete(members, one.name)
		if !ok {
			continue
		}
		if err := fill(into.FieldByIndex(one.Index), value, below(at, one.name)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		return fmt.Errorf("%q is not known", below(at, name))
	}
	return nil
}

func below(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// decode keeps a number of `any` as it is written: as a float it would be another one above 2^53.
func decode(given json.RawMessage, into any, at string) error {
	decoder := json.NewDecoder(bytes.NewReader(given))
	decoder.UseNumber()
	err := decoder.Decode(into)
	if err != nil && at != "" {
		return fmt.Errorf("%q: %w", at, err)
	}
	return err
}

// write is JSON without the escapes for HTML.
func write(value any) (string, error) {
	made, err := plain(reflect.ValueOf(&value).Elem(), "")
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(made); err != nil {
		return "", err
	}
	return strings.TrimSuffix(text.String(), "\n"), nil
}

// plain is the value by the same walk as its schema: a slice or a map that is nil is empty, a pointer is left out.
func plain(of reflect.Value, at string) (any, error) {
	switch own := of.Interface().(type) {
	case json.Number, json.Marshaler, encoding.TextMarshaler:
		return own, nil
	}
	switch of.Kind() {
	case reflect.String:
		return valid(of.String()), nil
	case reflect.Float32, reflect.Float64:
		if math.IsNaN(of.Float()) || math.IsInf(of.Float(), 0) {
			return nil, fmt.Errorf("`%s` is not a finite number", at)
		}
	case reflect.Interface, reflect.Pointer:
		if of.IsNil() {
			return nil, nil
		}
		return plain(of.Elem(), at)
	case reflect.Slice, reflect.Array:
		return plainSlice(of, at)
	case reflect.Map:
		return plainMap(of, at)
	case reflect.Struct:
		return plainStruct(of, at)
	}
	return of.Interface(), nil
}

func plainSlice(of reflect.Value, at string) (any, error) {
	made := make([]any, of.Len())
	for i := range made {
		element, err := plain(of.Index(i), below(at, strconv.Itoa(i)))
		if err != nil {
			return nil, err
		}
		made[i] = element
	}
	return made, nil
}

func plainMap(of reflect.Value, at string) (any, error) {
	made := object{}
	for key, value := range of.Seq2() {
		if value.Kind() == reflect.Pointer && value.IsNil() {
			continue
		}
		name, err := nameOf(key)
		if err != nil {
			return nil, err
		}
		member, err := plain(value, below(at, name))
		if err != nil {
			return nil, err
		}
		made[name] = member
	}
	return made, nil
}

// nameOf is a key as JSON has it, whatever its type prints.
func nameOf(key reflect.Value) (string, error) {
	if own, ok := key.Interface().(encoding.TextMarshaler); ok && key.Kind() != reflect.String {
		text, err := own.MarshalText()
		return valid(string(text)), err
	}
	switch {
	case key.CanInt():
		return strconv.FormatInt(key.Int(), 10), nil
	case key.CanUint():
		return strconv.FormatUint(key.Uint(), 10), nil
	}
	return valid(key.String()), nil
}

func plainStruct(of reflect.Value, at string) (any, error) {
	made := object{}
	for _, one := range fields(of.Type()) {
		value := of.FieldByIndex(one.Index)
		if one.omits(value) {
			continue
		}
		member, err := plain(value, below(at, one.name))
		if err != nil {
			return nil, err
		}
		made[one.name] = member
	}
	return made, nil
}

func (f field) omits(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Pointer:
		return value.IsNil()
	case reflect.Slice, reflect.Map:
		return f.omit && value.Len() == 0
	}
	return f.omit && value.IsZero()
}
