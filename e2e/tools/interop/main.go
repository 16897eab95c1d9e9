// Command interop is gRPC's own interoperability test, by grpc-go: "interop serve"
// prints the addresses of two servers, one in the clear and one with TLS, and serves
// until its standard input ends, also gRPC's health checks, whose service "sick" is that; "interop run ADDRESS [tls]" has a client run all cases
// that need no login, against what listens there.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		serve()
		return
	}
	if len(os.Args) < 3 || os.Args[1] != "run" {
		log.Fatal("usage: interop serve | interop run ADDRESS [tls]")
	}
	run(os.Args[2], len(os.Args) > 3)
}

func serve() {
	clear, secure := listen(), listen()
	for ln, opts := range map[net.Listener][]grpc.ServerOption{
		clear:  nil,
		secure: {grpc.Creds(credentials.NewServerTLSFromCert(certificate()))},
	} {
		s := grpc.NewServer(opts...)
		testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
		h := health.NewServer() // which says that the server as a whole is well
		h.SetServingStatus("sick", healthpb.HealthCheckResponse_NOT_SERVING)
		healthpb.RegisterHealthServer(s, h)
		go s.Serve(ln)
	}
	fmt.Println(clear.Addr(), secure.Addr())
	io.Copy(io.Discard, os.Stdin)
}

func listen() net.Listener {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return ln
}

// certificate makes one that nobody trusts.
func certificate() *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"h.test"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// run has every case report what fails by log.Fatal.
func run(addr string, secure bool) {
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, ServerName: "h.test"})
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds), grpc.WithAuthority("h.test"))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	client, other := testgrpc.NewTestServiceClient(conn), testgrpc.NewUnimplementedServiceClient(conn)
	for _, c := range []struct {
		name string
		run  func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)
	}{
		{"empty_unary", interop.DoEmptyUnaryCall},
		{"large_unary", interop.DoLargeUnaryCall},
		{"client_streaming", interop.DoClientStreaming},
		{"server_streaming", interop.DoServerStreaming},
		{"ping_pong", interop.DoPingPong},
		{"empty_stream", interop.DoEmptyStream},
		{"timeout_on_sleeping_server", interop.DoTimeoutOnSleepingServer},
		{"cancel_after_begin", interop.DoCancelAfterBegin},
		{"cancel_after_first_response", interop.DoCancelAfterFirstResponse},
		{"custom_metadata", interop.DoCustomMetadata},
		{"status_code_and_message", interop.DoStatusCodeAndMessage},
		{"special_status_message", interop.DoSpecialStatusMessage},
	} {
		done(c.name, func(ctx context.Context) { c.run(ctx, client) })
	}
	done("unimplemented_method", func(ctx context.Context) { interop.DoUnimplementedMethod(ctx, conn) })
	done("unimplemented_service", func(ctx context.Context) { interop.DoUnimplementedService(ctx, other) })
}

func done(name string, f func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	f(ctx)
	fmt.Println(name)
}
