// SPDX-License-Identifier: MIT

package render_test

import (
	"strings"
	"testing"

	"github.com/pleat-go/pleat/render"
)

const (
	html = render.ContentTypeHTML
	json = render.ContentTypeJSON
	xml  = render.ContentTypeXML
	text = render.ContentTypeText
)

// negotiations are the cases of TestNegotiate and the seeds of FuzzNegotiate.
var negotiations = []struct {
	name, accept string
	offers       []string
	want         string
}{
	{"no field", "", []string{json, html}, json},
	{"no offers", "text/html", nil, ""},
	{"anything", "*/*", []string{json, html}, json},
	{"one type", "text/html", []string{json, html}, html},
	{"none acceptable", "image/png", []string{json, html}, ""},
	{"quality", "application/json;q=0.5, text/html;q=0.8", []string{json, html}, html},
	{"quality of three digits", "application/json;q=0.801, text/html;q=0.8", []string{html, json}, json},
	{"order of the field does not matter", "text/html, application/json", []string{json, html}, json},
	{"specific before wildcard", "application/json, */*", []string{html, json}, json},
	{"wildcard of higher quality", "application/json;q=0.5, */*", []string{json, html}, html},
	{"specific quality holds", "*/*;q=0.9, text/html;q=0.1", []string{html}, html},
	{"never", "text/html;q=0, */*", []string{html, json}, json},
	{"never, and nothing else", "text/html;q=0, */*", []string{html}, ""},
	{"nothing at all", "*/*;q=0", []string{html, json}, ""},
	{"type/* excludes", "*/*, text/*;q=0", []string{html, json}, json},
	{"type/* yields to type/subtype", "text/*;q=0, text/html", []string{text, html}, html},
	{"RFC 9110: precedence, html level 1", "text/*, text/plain, text/plain;format=flowed, */*", []string{"text/plain", "text/plain;format=flowed"}, "text/plain;format=flowed"},
	{
		"RFC 9110: weights", "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5",
		[]string{"text/html", "image/jpeg", "text/plain;format=fixed"},
		"image/jpeg",
	},
	{
		"RFC 9110: weights, plain", "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5",
		[]string{"text/html", "image/jpeg", "text/plain"},
		"text/plain",
	},
	{"a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", []string{json, xml, html}, html},
	{"axios", "application/json, text/plain, */*", []string{html, json}, json},
	{"curl", "*/*", []string{html, json}, html},
	{"java", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", []string{json}, json},
	{"case", "TEXT/HTML;Q=0.9, Application/*;q=0.1", []string{json, html}, html},
	{"charset is not looked at", "application/json; charset=utf-8", []string{json}, json},
	{"charset of the offer neither", "text/html;charset=iso-8859-1", []string{html}, html},
	{"parameter the offer lacks", "application/json;profile=x", []string{json}, ""},
	{"parameter the offer has, quoted", `application/json;profile="x"`, []string{"application/json; a=b; Profile=X"}, "application/json; a=b; Profile=X"},
	{"parameter with another value", `application/json;profile=y`, []string{"application/json; profile=x"}, ""},
	{"parameter of a wildcard", `*/*;profile=x, application/json;q=0.1`, []string{json, "text/html;profile=x"}, "text/html;profile=x"},
	{"comma and semicolon in quotes", `text/plain;x="a,b;c\"d", text/html;q=0.1`, []string{html, `text/plain;x="a,b;c\"d"`}, `text/plain;x="a,b;c\"d"`},
	{"what follows the weight", "text/html;q=0.5;ext=1;ext2", []string{html}, html},
	{"white space", " \ttext/html ;\tq=0.5 ,\t application/json ; q=0.4", []string{json, html}, html},
	{"empty elements", ",, ,text/html,,", []string{json, html}, html},
	{"empty parameters", "text/html;;q=0.5;, application/json;q=0.4", []string{json, html}, html},
	{"twice, the kinder counts", "text/html;q=0, text/html;q=0.5, text/html;q=0.2, application/json;q=0.4", []string{json, html}, html},
	{"weight beyond 1", "text/html;q=2, application/json;q=0.1", []string{html, json}, json},
	{"weight 1.001", "text/html;q=1.001, application/json;q=0.1", []string{html, json}, json},
	{"weight 1.", "text/html;q=1., application/json;q=0.1", []string{json, html}, html},
	{"weight -1", "text/html;q=-1, application/json;q=0.1", []string{html, json}, json},
	{"weight 1e0", "text/html;q=1e0, application/json;q=0.1", []string{html, json}, json},
	{"weight empty", "text/html;q=, application/json;q=0.1", []string{html, json}, json},
	{"weight of a point", "text/html;q=., application/json;q=0.1", []string{html, json}, json},
	{"weight of many digits", "text/html;q=0.00099, application/json;q=0.0010", []string{html, json}, json},
	{"spaces around =", "text/html;q = 0.9, application/json;q=0.1", []string{html, json}, json},
	{"all malformed", "html", []string{json, html}, json},
	{"separators only", " ,;, ", []string{json, html}, json},
	{"*/subtype", "*/html, application/json;q=0.1", []string{html, json}, json},
	{"type/", "text/, application/json;q=0.1", []string{html, json}, json},
	{"two slashes", "text/html/x, application/json;q=0.1", []string{html, json}, json},
	{"parameter without value", "text/html;level, application/json;q=0.1", []string{html, json}, json},
	{"unclosed quote", `text/html;x="a, application/json;q=0.1`, []string{html, json}, html},
	{"control byte", "text/html;x=\"\x01\", application/json;q=0.1", []string{html, json}, json},
	{"not ASCII", "text/häml, application/json;q=0.1", []string{html, json}, json},
	{"an offer that is no type", "text/html;q=0.5, */*;q=0.1, json/", []string{"json", "", html}, html},
	{"an offer that is no type, alone", "*/*;q=0.5", []string{"json"}, "json"},
	{"many offers", "application/j", strings.Fields("a/a a/b a/c a/d a/e a/f a/g a/h a/i application/j a/k"), "application/j"},
	{"a suffix is another type", "application/json", []string{render.ContentTypeProblem}, ""},
	{"beyond the cap", strings.Repeat("a/b,", 1024) + "text/html", []string{html}, ""},
	{"before the cap", strings.Repeat("a/b,", 1023) + "text/html", []string{html}, html},
	{"one endless element", "text/html;x=" + strings.Repeat("a", 1<<16), []string{html}, ""},
}

func TestNegotiate(t *testing.T) {
	for _, tt := range negotiations {
		t.Run(tt.name, func(t *testing.T) {
			if got := render.Negotiate(tt.accept, tt.offers...); got != tt.want {
				t.Errorf("Negotiate(%.80q, %q) = %q, want %q", tt.accept, tt.offers, got, tt.want)
			}
			if got := slowNegotiate(tt.accept, tt.offers); got != tt.want {
				t.Errorf("slowNegotiate(%.80q, %q) = %q, want %q", tt.accept, tt.offers, got, tt.want)
			}
		})
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, tt := range negotiations {
		f.Add(tt.accept, strings.Join(tt.offers, "|"))
	}
	f.Fuzz(func(t *testing.T, accept, joined string) {
		offers := strings.Split(joined, "|")
		got := render.Negotiate(accept, offers...)
		if want := slowNegotiate(accept, offers); got != want {
			t.Fatalf("Negotiate(%q, %q) = %q, the slow version says %q", accept, offers, got, want)
		}
	})
}

func BenchmarkNegotiate(b *testing.B) {
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	b.ReportAllocs()
	for b.Loop() {
		render.Negotiate(browser, json, html, text)
	}
}
