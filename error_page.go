// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pleat-go/pleat/render"
)

// Problem is what may be told about an error, as problem details (RFC 9457).
type Problem struct {
	Type      string `json:"type,omitempty" xml:"type,omitempty"` // a URI; "" means that the status says it all
	Title     string `json:"title"`                               // the phrase of the status
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`     // what the error says to the client, may be ""
	RequestID string `json:"request_id,omitempty"` // under which the log has the rest
	Cause     string `json:"cause,omitempty"`      // text and stack, in development only
}

// Problem is what clients may be told about an error: what [Context.AnswerError]
// shows them. It is for error pages of an app's own. Nothing in it is escaped.
func (c *Context) Problem(err error) Problem {
	status := StatusOf(err)
	p := Problem{Title: titleOf(status), Status: status, Detail: messageOf(err, status), RequestID: c.RequestID()}
	if c.app.config.Development && err != nil {
		p.Cause = causeOf(err)
	}
	return p
}

// AnswerError makes the app's own answer for an error: its status and header,
// and as the client accepts it problem details, an HTML page or text. A page
// given to [App.OnStatus] for that status comes first; called by such a page
// AnswerError makes the answer that there would be without pages. The text of
// causes is shown in development only.
func (c *Context) AnswerError(err error) error {
	status := StatusOf(err)
	if err := c.addErrorHeader(err); err != nil {
		return err
	}
	if page := c.app.pages[status]; page != nil && c.enterPage() {
		defer c.leavePage()
		if err := c.req.SetStatus(status); err != nil {
			return err
		}
		return page(c, err)
	}
	return c.sendProblem(c.Problem(err))
}

// enterPage reports whether no page of OnStatus is making the answer already: one
// that asks for the app's answer would be asked again, without end.
func (c *Context) enterPage() bool {
	e := c.shared().extras()
	e.mu.Lock()
	defer e.mu.Unlock()
	entered := !e.onPage
	e.onPage = true
	return entered
}

func (c *Context) leavePage() {
	e := c.shared().extras()
	e.mu.Lock()
	e.onPage = false
	e.mu.Unlock()
}

// addErrorHeader sends along the fields that an error has for its answer, but
// none twice.
func (c *Context) addErrorHeader(err error) error {
	e := answerOf(err)
	if e == nil || len(e.Header) == 0 {
		return nil
	}
	present := c.req.ResponseHeaders()
	for name, values := range e.Header {
		for _, v := range values {
			if slices.Contains(present.Values(name), v) {
				continue
			}
			if err := c.AddHeader(name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func titleOf(status int) string {
	if status == statusClientGone {
		return "Client Closed Request"
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Error " + strconv.Itoa(status)
}

// causeOf is what a developer wants to see of an error.
func causeOf(err error) string {
	text := err.Error()
	var p *PanicError
	if errors.As(err, &p) {
		text += "\n\n" + string(p.Stack)
	}
	return text
}

func (c *Context) sendProblem(p Problem) error {
	// An error page must not outlive the error.
	if err := c.SetHeader("Cache-Control", "no-store"); err != nil {
		return err
	}
	// A client that accepts anything is more likely a program or a person with
	// curl than a browser, which names text/html, and gets text. The first offer
	// stands for that: no type at all, only */* takes it.
	const anything = ""
	switch c.Accepts(anything, render.ContentTypeProblem, render.ContentTypeJSON, render.ContentTypeHTML, render.ContentTypeText) {
	case render.ContentTypeProblem, render.ContentTypeJSON:
		return c.encode(c.app.json, p.Status, render.ContentTypeProblem, p)
	case render.ContentTypeHTML:
		var page strings.Builder
		if err := errorPage.Execute(&page, p); err != nil {
			return err
		}
		return c.HTML(p.Status, page.String())
	}
	return c.Text(p.Status, p.text())
}

func (p Problem) text() string {
	text := fmt.Sprintf("%d %s\n", p.Status, p.Title)
	if p.Detail != "" {
		text += p.Detail + "\n"
	}
	if p.Status >= http.StatusInternalServerError {
		text += "request " + p.RequestID + "\n"
	}
	if p.Cause != "" {
		text += "\n" + p.Cause + "\n"
	}
	return text
}

var errorPage = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Status}} {{.Title}}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; color: #222; background: #fafafa; margin: 0; display: grid; min-height: 100vh; place-items: center }
main { max-width: 44rem; padding: 2rem }
h1 { font-size: 1.5rem; margin: 0 0 .5rem }
h1 b { color: #a33 }
p { margin: .5rem 0 }
small { color: #777 }
pre { background: #fff; border: 1px solid #ddd; padding: 1rem; overflow: auto; font-size: .8rem }
</style>
<main>
<h1><b>{{.Status}}</b> {{.Title}}</h1>
{{with .Detail}}<p>{{.}}</p>{{end}}
{{with .RequestID}}<p><small>request {{.}}</small></p>{{end}}
{{with .Cause}}<pre>{{.}}</pre>{{end}}
</main>
</html>
`))
