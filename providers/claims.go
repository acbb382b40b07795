package providers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// EncodeClaims encodes claims as JSON that [DecodeClaims] decodes to the same values: an
// int64 stays one, and so does a float64 without a fraction. Rules distinguish the two,
// and must see the same person at the login and after it.
func EncodeClaims(claims map[string]any) ([]byte, error) {
	return json.Marshal(encodeNumbers(claims))
}

// DecodeClaims decodes a JSON object, of [EncodeClaims] or of any other source. The
// values are texts, bools, int64 and float64 numbers, lists and objects.
func DecodeClaims(text []byte) (map[string]any, error) {
	value, err := DecodeClaim(text)
	if err != nil {
		return nil, err
	}
	claims, ok := value.(map[string]any)
	if !ok && value != nil {
		return nil, fmt.Errorf("claims are an object and not a %T", value)
	}
	return claims, nil
}

// DecodeClaim decodes the value of one claim.
func DecodeClaim(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the value")
	}
	return decodeNumbers(value), nil
}

// encodeNumbers replaces each float64 in value by its JSON text, with a fraction.
func encodeNumbers(value any) any {
	switch v := value.(type) {
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return v // json.Marshal returns an error for it
		}
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return json.Number(text)
	case []any:
		return mapped(v, encodeNumbers)
	case map[string]any:
		return mappedValues(v, encodeNumbers)
	}
	return value
}

// decodeNumbers replaces each json.Number in value by an int64 or a float64.
func decodeNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			if n, err := v.Int64(); err == nil {
				return n
			}
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // out of the range of a float64
		}
		return f
	case []any:
		return mapped(v, decodeNumbers)
	case map[string]any:
		return mappedValues(v, decodeNumbers)
	}
	return value
}

func mapped(list []any, f func(any) any) []any {
	made := make([]any, len(list))
	for i, value := range list {
		made[i] = f(value)
	}
	return made
}

func mappedValues(object map[string]any, f func(any) any) map[string]any {
	if object == nil {
		return nil
	}
	made := make(map[string]any, len(object))
	for name, value := range object {
		made[name] = f(value)
	}
	return made
}
