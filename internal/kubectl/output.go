package kubectl

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// format checks --output against what there is: a word of these, or json or yaml.
func (k *call) format(others ...string) error {
	if all := append(others, "json", "yaml"); !slices.Contains(all, k.output) {
		return UsageError{fmt.Errorf("%s: there is no format %q; there are %s", k.flags.Name(), k.output, strings.Join(all, ", "))}
	}
	return nil
}

// data tells whether the answer is for programs.
func (k *call) data() bool { return k.output == "json" || k.output == "yaml" }

// print prints an answer for programs.
func (k *call) print(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if k.output == "yaml" {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
	}
	_, err = k.Stdout.Write(text)
	return err
}

// show prints a list as a table or for programs. Without items it says so.
func show[T any](k *call, items []T, none string, columns []column, cells func(T) []string) error {
	if k.data() {
		return k.print(items)
	}
	if len(items) == 0 {
		k.note("%s", none)
		return nil
	}
	t := table{columns: columns}
	for _, item := range items {
		t.add(cells(item)...)
	}
	t.write(k.Stdout, k.Width, k.output == "wide", !k.noHeaders)
	return nil
}

// list prints a list in a cell.
func list(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ",")
}

// orStar prints a host.
func orStar(host string) string {
	if host == "" {
		return "*"
	}
	return host
}

// orDash prints a word that may be empty.
func orDash(word string) string {
	if word == "" {
		return "-"
	}
	return word
}

// count says how many there are of something.
func count(n int, what string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(what, "ss"):
		what += "es"
	default:
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
