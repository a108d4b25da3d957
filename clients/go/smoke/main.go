// Command smoke proves that the Go client works against a running server: it creates an endpoint, watches, publishes an
// event, waits until the watch tells that the event was delivered, and reads the event back.
//
//	TIDINGS_API_KEY=tdk_… go run ./smoke 127.0.0.1:7070 http://127.0.0.1:8080/
//
// It exits 0 if all of that happened within 30 seconds, 1 otherwise.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	tidingsv1 "github.com/tidings-dev/tidings/clients/go/tidings/v1"
)

const (
	deadline  = 30 * time.Second
	eventType = "smoke.go"
)

// Spaces and key order are the payload's own: they have to come back unchanged.
var payload = []byte(`{ "from": "go",  "number": 9007199254740993 }`)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: smoke SERVER_ADDRESS RECEIVER_URL")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "go smoke: FAILED:", err)
		os.Exit(1)
	}
	fmt.Println("go smoke: published, watched, delivered, read back")
}

// apiKey puts itself on every call.
type apiKey string

func (key apiKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(key)}, nil
}

// RequireTransportSecurity lets the key go over loopback as it is; return true wherever it goes over a network.
func (apiKey) RequireTransportSecurity() bool { return false }

func run(ctx context.Context, address, receiverURL string) error {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(apiKey(os.Getenv("TIDINGS_API_KEY"))))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	defer conn.Close()
	client := tidingsv1.NewWebhookServiceClient(conn)

	endpoint, err := client.CreateEndpoint(ctx, &tidingsv1.CreateEndpointRequest{
		Endpoint: &tidingsv1.Endpoint{Url: receiverURL, EventTypes: []string{eventType}},
	})
	if err != nil {
		return fmt.Errorf("create endpoint: %w", err)
	}
	endpointID := endpoint.GetEndpoint().GetId()

	watch, err := startWatch(ctx, client, endpointID)
	if err != nil {
		return err
	}
	published, err := client.PublishEvent(ctx, &tidingsv1.PublishEventRequest{
		Event: &tidingsv1.Event{Type: eventType, Payload: payload},
	})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	deliveryID, err := awaitDelivered(watch, published.GetEventId())
	if err != nil {
		return err
	}
	return checkEvent(ctx, client, published.GetEventId(), endpointID, deliveryID)
}

// startWatch opens the stream and waits for its first message, a heartbeat: what is committed after it will be sent.
func startWatch(
	ctx context.Context, client tidingsv1.WebhookServiceClient, endpointID string,
) (grpc.ServerStreamingClient[tidingsv1.WatchDeliveriesResponse], error) {
	watch, err := client.WatchDeliveries(ctx, &tidingsv1.WatchDeliveriesRequest{
		Filter: &tidingsv1.DeliveryFilter{EndpointIds: []string{endpointID}},
	})
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	first, err := watch.Recv()
	if err != nil {
		return nil, fmt.Errorf("watch, first message: %w", err)
	}
	if first.GetHeartbeat() == nil || first.GetResumeToken() == "" {
		return nil, fmt.Errorf("watch: the first message is not a heartbeat with a token: %v", first)
	}
	return watch, nil
}

// awaitDelivered reads the stream until the event's delivery has ended, and returns the delivery's id.
func awaitDelivered(
	watch grpc.ServerStreamingClient[tidingsv1.WatchDeliveriesResponse], eventID string,
) (string, error) {
	for {
		message, err := watch.Recv()
		if err != nil {
			return "", fmt.Errorf("watch, waiting for %s: %w", eventID, err)
		}
		transition := message.GetDelivery()
		if transition.GetEventId() != eventID {
			continue
		}
		switch transition.GetState() {
		case tidingsv1.DeliveryState_DELIVERY_STATE_DELIVERED:
			return transition.GetDeliveryId(), nil
		case tidingsv1.DeliveryState_DELIVERY_STATE_DEAD, tidingsv1.DeliveryState_DELIVERY_STATE_CANCELLED:
			return "", fmt.Errorf("the delivery ended %v (%v)", transition.GetState(), transition.GetFailureKind())
		}
	}
}

func checkEvent(
	ctx context.Context, client tidingsv1.WebhookServiceClient, eventID, endpointID, deliveryID string,
) error {
	got, err := client.GetEvent(ctx, &tidingsv1.GetEventRequest{EventId: eventID})
	if err != nil {
		return fmt.Errorf("get event: %w", err)
	}
	if !bytes.Equal(got.GetEvent().GetPayload(), payload) {
		return fmt.Errorf("the payload came back changed: %q", got.GetEvent().GetPayload())
	}
	for _, route := range got.GetRoutes() {
		if route.GetEndpointId() != endpointID {
			continue
		}
		if route.GetReason() != tidingsv1.RouteReason_ROUTE_REASON_MATCHED || route.GetDeliveryId() != deliveryID {
			return fmt.Errorf("unexpected route: %v", route)
		}
		return nil
	}
	return fmt.Errorf("GetEvent names no route to %s", endpointID)
}
