// SPDX-License-Identifier: MIT

// Command chat is a chat room: messages go over a WebSocket, who comes and goes over
// server-sent events. Open it in two windows. Ctrl-C ends it gently: every page is
// told, and connects again when the program is back.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/pleat-go/pleat"
	"github.com/pleat-go/pleat/middleware"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills
	log := zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: time.TimeOnly}).With().Timestamp().Logger()
	err := run(ctx, *addr, &log)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string, log *zerolog.Logger) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("The room is at http://%s/\n", l.Addr())
	return newApp(newRoom(), log).RunListener(ctx, l)
}

// newApp is the app around a room.
func newApp(r *room, log *zerolog.Logger) *pleat.App {
	app := pleat.New(pleat.Config{Name: "chat", Logger: log})
	app.Use(middleware.Logger(middleware.LoggerConfig{}))
	h := &handlers{room: r, streamTime: 10 * time.Minute}
	app.GET("/", servePage)
	app.GET("/chat", h.chat)
	app.GET("/presence", h.presence)
	return app
}
