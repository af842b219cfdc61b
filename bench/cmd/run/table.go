// SPDX-License-Identifier: MIT

//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is a head and rows of the same length.
type table struct {
	head []string
	rows [][]string
}

// names are the columns before those of the rivals.
var names = []string{"scenario", "figure", "better", subject}

// table has the ratios, a row for each figure.
func (r *results) table(p *plan) *table {
	t := &table{head: append([]string(nil), names...)}
	var rivals []string
	for _, s := range p.servers {
		if s.name != subject {
			rivals = append(rivals, s.name)
			t.head = append(t.head, "/ "+s.name)
		}
	}
	r.eachMetric(p, func(s scenario, label string, m metric) {
		row := []string{label, m.name, direction(m), withUnit(r.value(s.name, subject, m.key), m)}
		for _, name := range rivals {
			row = append(row, r.cell(s.name, name, func() string { return ratioText(r.ratio(s.name, name, m.key)) }))
		}
		t.rows = append(t.rows, row)
	})
	return t
}

// figures has the absolute medians, a row for each figure.
func (r *results) figures(p *plan) *table {
	t := &table{head: []string{"scenario", "figure", "unit"}}
	for _, s := range p.servers {
		t.head = append(t.head, s.name)
	}
	r.eachMetric(p, func(s scenario, label string, m metric) {
		row := []string{label, m.name, m.unit}
		for _, v := range p.servers {
			row = append(row, r.cell(s.name, v.name, func() string { return valueText(r.value(s.name, v.name, m.key)) }))
		}
		t.rows = append(t.rows, row)
	})
	return t
}

func (r *results) eachMetric(p *plan, f func(s scenario, label string, m metric)) {
	for _, s := range p.scenarios {
		if r.samples[s.name] == nil {
			continue
		}
		label := s.name
		for _, m := range s.metrics {
			f(s, label, m)
			label = ""
		}
	}
}

func (r *results) cell(scenario, server string, text func() string) string {
	if !r.tookPart(scenario, server) {
		return ""
	}
	return text()
}

func direction(m metric) string {
	if m.more {
		return "more"
	}
	return "less"
}

func withUnit(e estimate, m metric) string {
	text := number(e.mid)
	if e.n == 0 {
		return "failed"
	}
	return strings.TrimSpace(text + " " + m.unit)
}

func ratioText(e estimate) string {
	switch e.n {
	case 0:
		return "failed"
	case 1:
		return fmt.Sprintf("%.2f", e.mid)
	}
	return fmt.Sprintf("%.2f ±%.2f", e.mid, e.spread)
}

func valueText(e estimate) string {
	switch e.n {
	case 0:
		return "failed"
	case 1:
		return number(e.mid)
	}
	return number(e.mid) + " ±" + number(e.spread)
}

// number writes three digits or so, as no more of them mean anything.
func number(v float64) string {
	switch abs := max(v, -v); {
	case abs >= 100:
		return fmt.Sprintf("%.0f", v)
	case abs >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// writeText writes the table in columns.
func (t *table) writeText(w io.Writer) {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range append([][]string{t.head}, t.rows...) {
		if i > 0 && row[0] != "" {
			fmt.Fprintln(w)
		}
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < 3 {
				line.WriteString(cell + pad + "  ")
			} else {
				line.WriteString(pad + cell + "  ")
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// writeMarkdown writes the table with left columns of text and right ones of
// numbers.
func (t *table) writeMarkdown(w io.Writer, left int) {
	fmt.Fprintln(w, "| "+strings.Join(t.head, " | ")+" |")
	marks := make([]string, len(t.head))
	for i := range marks {
		marks[i] = "---"
		if i >= left {
			marks[i] = "---:"
		}
	}
	fmt.Fprintln(w, "| "+strings.Join(marks, " | ")+" |")
	for _, row := range t.rows {
		fmt.Fprintln(w, "| "+strings.Join(row, " | ")+" |")
	}
}
