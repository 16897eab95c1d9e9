//go:build linux

package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// chart draws, for each workload, a bar for each proxy: its figure by nginx's, on a scale
// where twice as much is always as far. The line is nginx.
func chart(outcomes []outcome) string {
	bars := []struct{ name, color string }{{"pierhead", "#0b6e4f"}, {"haproxy", "#5b7db1"}, {"caddy", "#c98b2b"}, {"reverseproxy", "#9a9a9a"}}
	const left, width, row, bar = 130, 620, 58, 11
	const least, most = 0.25, 16.0
	at := func(ratio float64) float64 {
		r := math.Log2(min(max(ratio, least), most)/least) / math.Log2(most/least)
		return left + r*width
	}
	var w strings.Builder
	y := 60
	for _, o := range outcomes {
		if o.base != "nginx" {
			continue
		}
		fmt.Fprintf(&w, `<text x="%d" y="%d" text-anchor="end" font-weight="bold">%s</text>`+"\n", left-8, y+26, html.EscapeString(o.name))
		for i, b := range bars {
			ratios := o.ratios(b.name)
			if len(ratios) == 0 {
				continue
			}
			m := median(ratios)
			from, to := min(at(1), at(m)), max(at(1), at(m))
			fmt.Fprintf(&w, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d" font-size="10">%.2f</text>`+"\n",
				from, y+i*12, max(to-from, 1), bar, b.color, to+4, y+i*12+9, m)
		}
		y += row
	}
	var grid, legend strings.Builder
	for r := least; r <= most; r *= 2 {
		color := "#ddd"
		if r == 1 {
			color = "#000"
		}
		fmt.Fprintf(&grid, `<line x1="%.1f" y1="48" x2="%.1f" y2="%d" stroke="%s"/><text x="%.1f" y="44" text-anchor="middle" font-size="10">%g×</text>`+"\n", at(r), at(r), y, color, at(r), r)
	}
	for i, b := range bars {
		fmt.Fprintf(&legend, `<rect x="%d" y="10" width="12" height="12" fill="%s"/><text x="%d" y="20">%s</text>`+"\n", left+i*120, b.color, left+i*120+18, b.name)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">
<title>Cost beside nginx: the line is nginx, to the left is cheaper</title>
<rect width="100%%" height="100%%" fill="#fff"/>
%s%s%s</svg>
`, left+width+70, y+10, legend.String(), grid.String(), w.String())
}
