// SPDX-License-Identifier: MIT

package pleat_test

import (
	"regexp"
	"testing"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
)

func TestRequestLog(t *testing.T) {
	log := &logBook{}
	app := pleat.New(pleat.Config{Name: "shop", Logger: log.logger()})
	app.GET("/", func(c *pleat.Context) error {
		c.SetRequestID("r-1")
		c.Log().Debug().Str("s", "a\nb").Msg("debug")
		c.Log().Info().Msg("info")
		c.Log().Warn().Msg("warn")
		c.Log().Error().Msg("error")
		c.Log().Level(zerolog.InfoLevel).Msg("level")
		l := c.Log().Logger()
		l.Info().Msg("logger")
		return nil
	})
	serve(t, app).get("/")
	lines := log.lines(t, "debug")
	if len(lines) != 6 {
		t.Fatalf("log = %v", log)
	}
	for i, message := range []string{"debug", "info", "warn", "error", "level", "logger"} {
		if l := lines[i]; l["message"] != message || l["request_id"] != "r-1" || l["app"] != "shop" {
			t.Errorf("line = %v", l)
		}
	}
	if lines[0]["s"] != "a\nb" {
		t.Errorf("line = %v", lines[0])
	}
}

func TestRequestIDs(t *testing.T) {
	app := pleat.New(pleat.Config{})
	app.GET("/", func(c *pleat.Context) error {
		if first := c.RequestID(); c.RequestID() != first {
			t.Error("the id changes")
		}
		return c.Text(200, c.RequestID())
	})
	s := serve(t, app)
	seen := map[string]bool{}
	for range 100 {
		id := s.get("/").body
		if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) || seen[id] {
			t.Errorf("id = %q, seen %v", id, seen[id])
		}
		seen[id] = true
	}
}
