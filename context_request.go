// SPDX-License-Identifier: MIT

package pleat

import (
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/julienschmidt/httprouter"
)

// Method is the request method.
func (c *Context) Method() string { return c.req.Method() }

// Path is the path of the request, escaped, as received.
func (c *Context) Path() string { return c.req.Path() }

// Param is the value of a param of the route's pattern, decoded; "" when the
// pattern has none of that name. That of a catch-all begins with "/".
func (c *Context) Param(name string) string {
	for i := range c.params {
		if c.params[i].Key == name {
			return c.params[i].Value
		}
	}
	return ""
}

// ParamNames are the names of the params in the order of the pattern.
func (c *Context) ParamNames() []string {
	names := make([]string, len(c.params))
	for i := range c.params {
		names[i] = c.params[i].Key
	}
	return names
}

// ParamInt is a param as an integer. What is none is a 404: there is nothing at
// such a path.
func (c *Context) ParamInt(name string) (int64, error) { return Param(c, name, parseInt) }

// ParamUint is a param as an integer that is not negative; otherwise a 404.
func (c *Context) ParamUint(name string) (uint64, error) {
	return Param(c, name, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) })
}

// Param is a param put through parse: Pants' converters, as a function. What
// parse refuses is a 404, unless its error has a status of its own. A param that
// the pattern does not have is the program's mistake, and a 500.
func Param[T any](c *Context, name string, parse func(string) (T, error)) (v T, err error) {
	if !slices.ContainsFunc(c.params, func(p httprouter.Param) bool { return p.Key == name }) {
		return v, fmt.Errorf("pleat: route %v has no param %q", c.route, name)
	}
	v, err = parse(c.Param(name))
	return v, converted(err, http.StatusNotFound, "")
}

// Query is the first value of a query parameter, "" when absent. All of them are
// in Request().Query().
func (c *Context) Query(name string) string { return c.req.QueryValue(name) }

// QueryAs is a query parameter put through parse, or def when it is absent. What
// parse refuses is a 400 that names the parameter.
func QueryAs[T any](c *Context, name string, def T, parse func(string) (T, error)) (T, error) {
	values := c.req.Query()
	if !values.Has(name) {
		return def, nil
	}
	v, err := parse(values.Get(name))
	return v, converted(err, http.StatusBadRequest, "bad value of the query parameter "+strconv.Quote(name))
}

// QueryInt is a query parameter as an integer, or def when it is absent; what is
// none is a 400.
func (c *Context) QueryInt(name string, def int64) (int64, error) {
	return QueryAs(c, name, def, parseInt)
}

func parseInt(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

// converted gives an error of a parse function a status.
func converted(err error, status int, message string) error {
	var coder StatusCoder
	if err == nil || errors.As(err, &coder) {
		return err
	}
	return NewError(status, message).WithCause(err)
}

// Form is the first value of a field of the form in the body. It is "" also when
// there is no form, when the form is broken, too large or cut off: such a request
// looks like one that left the field empty. Use it where that is all the same,
// after FormValues, say, which tells, and which a handler that stores what it is
// sent calls first:
//
//	form, err := c.FormValues()
//	if err != nil {
//		return err // 400, 408, 413
//	}
//	name := form.Get("name")
func (c *Context) Form(name string) string {
	values, _ := c.FormValues()
	return values.Get(name)
}

// FormValues is the form in the body, urlencoded or multipart, with all values of
// each field; empty when the body is no form. Unlike Form it tells when the form
// could not be read: errors carry the status of their answer (400, 408, 413). The
// body is parsed once, whoever asks.
func (c *Context) FormValues() (url.Values, error) {
	q, err := c.formOfBody()
	if q == nil {
		return c.req.Form()
	}
	return q.PostForm, err
}

// FormFile is the first file of that name in a multipart form. When there is none
// the error is a 400 and, for errors.Is, http.ErrMissingFile.
func (c *Context) FormFile(name string) (*multipart.FileHeader, error) {
	q, err := c.formOfBody()
	var file *multipart.FileHeader
	switch {
	case q == nil:
		file, err = c.req.File(name)
	case err == nil:
		if q.MultipartForm != nil && len(q.MultipartForm.File[name]) > 0 {
			return q.MultipartForm.File[name][0], nil
		}
		err = http.ErrMissingFile
	}
	if err == http.ErrMissingFile {
		err = NewError(http.StatusBadRequest, "the form has no file "+strconv.Quote(name)).WithCause(err)
	}
	return file, err
}

// Header is the first value of a request field, "" when absent.
func (c *Context) Header(name string) string { return c.req.Header().Get(name) }

// RemoteIP is the address of the client: that of the connection, unless a
// trusted proxy named another.
func (c *Context) RemoteIP() netip.Addr { return c.req.RemoteIP() }

// Bind decodes the content into what into points to, by its type: JSON
// (application/json and +json) or XML. Other types are a 415, content that does
// not fit is a 400 that says why.
func (c *Context) Bind(into any) error {
	mediaType, _, err := mime.ParseMediaType(c.Header("Content-Type"))
	if err != nil {
		return NewError(http.StatusUnsupportedMediaType, "the request says no valid Content-Type")
	}
	codec := c.app.json
	switch {
	case mediaType == "application/json" || strings.HasSuffix(mediaType, "+json"):
	case mediaType == "application/xml" || mediaType == "text/xml" || strings.HasSuffix(mediaType, "+xml"):
		codec = c.app.xml
	default:
		return NewError(http.StatusUnsupportedMediaType, "want JSON or XML")
	}
	body, err := c.Body()
	if err != nil {
		return err
	}
	return codec.Decode(body, into)
}

// BindJSON is Bind for JSON, whatever the Content-Type says.
func (c *Context) BindJSON(into any) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	return c.app.json.Decode(body, into)
}

// URL builds the path and query of a URL to a named route, as App.URL does. A
// name that begins with a dot is relative to the group of this request's route.
func (c *Context) URL(name string, args ...any) (string, error) {
	return c.app.table.urlFor(c.route, name, args...)
}
