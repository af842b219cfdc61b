// SPDX-License-Identifier: MIT

package main

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/client"
)

// observation is what the weather station has to say about a city.
type observation struct {
	City    string  `json:"city"`
	Sky     string  `json:"sky"`
	Celsius float64 `json:"celsius"`
}

// weather asks the station. Its answer is two redirects away, which the client
// follows. There is no timeout, no request id and no log line to think of here:
// the call belongs to this request and has all that from it.
func weather(c *pleat.Context) error {
	city := c.Param("city")
	call := c.Client().Get("/now/" + url.PathEscape(city))
	var now observation
	if err := call.JSON(&now); err != nil {
		var refused *client.StatusError
		unknown := errors.As(err, &refused) && refused.Response.Status == http.StatusNotFound
		if unknown || errors.Is(err, client.ErrURL) { // "../" in a name leads nowhere
			return pleat.NewError(http.StatusNotFound, "Nobody watches the weather in "+city).WithCause(err)
		}
		return err // 504 when it took too long, 502 when the station failed or is down
	}

	if !wantsPage(c) {
		return c.JSON(http.StatusOK, now)
	}
	answer, err := call.Do() // has been made: this is the answer that was decoded above
	if err != nil {
		return err
	}
	return c.Render(http.StatusOK, "weather", struct {
		frame
		Now  observation
		Hops []client.Hop
		From *url.URL
	}{newFrame(c), now, answer.History, answer.URL})
}
