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

// EncodeClaims writes claims as JSON that [DecodeClaims] reads the same: a whole
// number stays an int64 and any other a float64, though it has no fraction. Rules
// tell them apart, and one person must be the same to them at login and after.
func EncodeClaims(claims map[string]any) ([]byte, error) {
	return json.Marshal(encodeNumbers(claims))
}

// DecodeClaims reads what [EncodeClaims] wrote, or an object of anybody's. What
// is in it are texts, bools, int64 and float64 numbers, lists and objects.
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

// DecodeClaim reads the value of one claim.
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

// spelled has each float64 in value be written as one.
func encodeNumbers(value any) any {
	switch v := value.(type) {
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return v // which json refuses
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

// read makes numbers of what the decoder left as text.
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
			return v.String() // beyond all numbers
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
