package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is one YAML or JSON document of a file. Lines of its nodes count from the
// line before its first one.
type document struct {
	root *yaml.Node
	line int // of the file, before the document's first line
}

// syntaxError is a document that cannot be read.
type syntaxError struct {
	line int // in the file
	msg  string
}

// documents splits a file as kubectl does, at lines that begin with "---", and
// parses each document alone: a broken one does not hide the others.
func documents(text []byte) (docs []document, broken []syntaxError) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		if docs, err := jsonDocuments(text); err == nil {
			return docs, nil
		}
	}
	for _, p := range split(text) {
		roots, err := parseYAML(p.text)
		for _, root := range roots {
			docs = append(docs, document{root: root, line: p.line})
		}
		if err != nil {
			err.line += p.line
			broken = append(broken, *err)
		}
	}
	return docs, broken
}

// piece is a part of a file, and how many lines stand before it.
type piece struct {
	text []byte
	line int
}

// split cuts a file at its "---" lines.
func split(text []byte) []piece {
	var ps []piece
	start, startLine, line := 0, 0, 0
	for at := 0; at < len(text); line++ {
		end := len(text)
		if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		if separates(text[at:end]) {
			ps = append(ps, piece{text[start:at], startLine})
			start, startLine = end, line+1
		}
		at = end
	}
	return append(ps, piece{text[start:], startLine})
}

// separates tells whether a line is "---", with nothing after it but space or a
// comment.
func separates(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	if !ok {
		return false
	}
	trimmed := bytes.TrimSpace(rest)
	return len(trimmed) == 0 || (trimmed[0] == '#' && (rest[0] == ' ' || rest[0] == '\t'))
}

// parseYAML parses one piece. It may still hold several documents, such as after a
// "..." line; of a piece with an error nothing is taken.
func parseYAML(text []byte) (roots []*yaml.Node, broken *syntaxError) {
	defer func() {
		if p := recover(); p != nil {
			roots, broken = nil, &syntaxError{line: 1, msg: fmt.Sprintf("cannot be parsed: %v", p)}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return roots, nil
		}
		if err != nil {
			line, msg := errorLine(text, err)
			return nil, &syntaxError{line: line, msg: msg}
		}
		if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
			roots = append(roots, n.Content[0])
		}
	}
}

// maxSearched is how long a text may be whose error is looked for.
const maxSearched = 256 << 10

var lineOfError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// errorLine returns the line and the text of a YAML error. The parser names the line
// where the broken collection begins; the line looked for is the last of the
// shortest beginning of the text that has the same error.
func errorLine(text []byte, err error) (int, string) {
	line, msg := splitError(err)
	if !strings.HasPrefix(msg, "did not find expected") || len(text) > maxSearched {
		return line, msg
	}
	ends := lineEnds(text)
	low, high := 1, len(ends)
	for low < high {
		mid := (low + high) / 2
		if _, m := splitError(parseAll(text[:ends[mid-1]])); m == msg {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low, msg
}

// parseAll returns the first error of the text.
func parseAll(text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err != nil {
			return err
		}
	}
}

// splitError takes a YAML error apart.
func splitError(err error) (int, string) {
	m := lineOfError.FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	line, _ := strconv.Atoi(m[1])
	return max(line, 1), m[2]
}

// lineEnds returns where each line of the text ends.
func lineEnds(text []byte) []int {
	var ends []int
	for i, c := range text {
		if c == '\n' {
			ends = append(ends, i+1)
		}
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		ends = append(ends, len(text))
	}
	if len(ends) == 0 {
		ends = append(ends, len(text))
	}
	return ends
}
