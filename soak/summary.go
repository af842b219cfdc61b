// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// print says what a run that went well consisted of.
func (r *run) print(w io.Writer) {
	book := r.load.book
	fmt.Fprintf(w, "\nengine %s: %d requests\n", r.engine, book.total())
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "kind\tsent\tanswered\tleft\trefused at the end\tserver: begun\twhole\tcut\t")
	var client clientCount
	var served serverCount
	for _, kind := range slices.Sorted(slices.Values(book.names)) {
		c, s := book.kinds[kind], r.ledger.count(kind)
		line(table, kind, c, s)
		client.Sent += c.Sent
		client.Answered += c.Answered
		client.Left += c.Left
		client.Refused += c.Refused
		served.Begun += s.Begun
		served.Whole += s.Whole
		served.Broken += s.Broken
	}
	line(table, "all", &client, &served)
	_ = table.Flush()
	fmt.Fprintf(w, "ways: %s\n", counts(book.ways))
	fmt.Fprintf(w, "visits: %s; malformed requests refused: %d\n", counts(r.load.visits), r.load.malformed.Load())
	fmt.Fprintf(w, "before serving: %v\nat rest before: %v\n at rest after: %v\n after the end: %v\n", r.before, r.rested, r.after, r.ended)
	fmt.Fprintf(w, "the graceful end took %v; %d requests were sent around it\n", r.took.Round(time.Millisecond), r.late)
}

func line(w io.Writer, kind string, c *clientCount, s *serverCount) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", kind, c.Sent, c.Answered, c.Left, c.Refused, s.Begun, s.Whole, s.Broken)
}

func counts(of map[string]int) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		list = append(list, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(list, ", ")
}
