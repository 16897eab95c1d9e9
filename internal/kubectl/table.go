package kubectl

import (
	"io"
	"strings"
	"unicode/utf8"
)

// column is one column of a table.
type column struct {
	head string
	wide bool // only in wide tables
	cut  bool // cells may be cut to the terminal's width
}

// table is what a subcommand prints: rows of as many cells as there are columns.
type table struct {
	columns []column
	rows    [][]string
}

// narrowest is the least width that a column is cut to.
const narrowest = 12

// gap is between two columns.
const gap = "  "

// add adds a row.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// shown returns the columns that are shown, as their places.
func (t *table) shown(wide bool) (at []int) {
	for i, c := range t.columns {
		if wide || !c.wide {
			at = append(at, i)
		}
	}
	return at
}

// write prints the table. Where it is wider than the terminal, the widest of the columns
// that may be are cut; width 0 cuts nothing, and wide tables are never cut.
func (t *table) write(w io.Writer, width int, wide, heads bool) {
	at := t.shown(wide)
	widths := make([]int, len(t.columns))
	for _, i := range at {
		if heads {
			widths[i] = utf8.RuneCountInString(t.columns[i].head)
		}
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	if width > 0 && !wide {
		t.fit(at, widths, width)
	}
	if heads {
		var cells []string
		for _, c := range t.columns {
			cells = append(cells, c.head)
		}
		writeRow(w, at, widths, cells)
	}
	for _, row := range t.rows {
		writeRow(w, at, widths, row)
	}
}

// fit makes the widths fit into a line.
func (t *table) fit(at, widths []int, width int) {
	for {
		sum, widest := -len(gap), -1
		for _, i := range at {
			sum += widths[i] + len(gap)
			if t.columns[i].cut && widths[i] > narrowest && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if sum <= width || widest < 0 {
			return
		}
		widths[widest]--
	}
}

func writeRow(w io.Writer, at, widths []int, cells []string) {
	var b strings.Builder
	for n, i := range at {
		cell := cut(cells[i], widths[i])
		b.WriteString(cell)
		if n < len(at)-1 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + gap)
		}
	}
	io.WriteString(w, strings.TrimRight(b.String(), " ")+"\n")
}

// cut cuts a text to so many characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:width-1]) + "…"
}

// severityColors are what severities look like on a terminal, by their names.
var severityColors = map[string]string{"error": "\x1b[31m", "warning": "\x1b[33m", "info": "\x1b[36m"}

// colored gives a word the colour of a severity, on a terminal.
func (k *call) colored(word, severity string) string {
	if !k.Color || severityColors[severity] == "" {
		return word
	}
	return severityColors[severity] + word + "\x1b[0m"
}
