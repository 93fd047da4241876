// The Java SDK, unmodified, which speaks Protobuf only: `java -cp 'JARS:.' SDKClient URL TOKEN TOKENS`. Says each event as an array,
// one a line, with a publication's data as it came; takes one command a line, its parts between tabs.
import io.github.centrifugal.centrifuge.*;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.stream.Collectors;

public class SDKClient {
    /** JSON that is to be said as it is. */
    record Raw(String json) {}

    static String json(Object value) {
        if (value instanceof Raw raw) return raw.json();
        if (!(value instanceof String text)) return String.valueOf(value);
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n") + "\"";
    }

    static synchronized void say(Object... event) {
        System.out.println(java.util.Arrays.stream(event).map(SDKClient::json).collect(Collectors.joining(",", "[", "]")));
    }

    static Raw raw(byte[] data) { return new Raw(new String(data, StandardCharsets.UTF_8)); }

    static int code(Throwable error) {
        for (Throwable one = error; one != null; one = one.getCause()) if (one instanceof ReplyError reply) return reply.getCode();
        return -1;
    }

    static Subscription watched;

    public static void main(String[] arguments) throws Exception {
        Options options = new Options();
        options.setToken(arguments[1]);
        options.setMinReconnectDelay(50);
        options.setMaxReconnectDelay(300);
        options.setTimeout(30_000);
        options.setName("java");
        if (!arguments[2].isEmpty()) options.setTokenGetter(new Tokens(arguments[2]));
        Client client = new Client(arguments[0], options, new Events());
        client.connect();
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = orders.readLine()) != null;) obey(client, line.split("\t"));
    }

    static void obey(Client client, String[] order) throws Exception {
        switch (order[0]) {
            case "watch" -> watch(client, order[1]);
            case "flap" -> {
                watch(client, order[1]);
                watched.unsubscribe();
                watched.subscribe();
            }
            case "unwatch" -> watched.unsubscribe();
            case "presence" -> watched.presence((error, found) -> watched.presenceStats((other, stats) -> say(
                "presence",
                new Raw(found.getClients().values().stream().map(info -> json(info.getUser())).sorted().collect(Collectors.joining(",", "[", "]"))),
                stats.getNumClients(), stats.getNumUsers())));
            case "history" -> watched.history(new HistoryOptions.Builder().withLimit(100).build(), (error, found) -> say(
                "history",
                new Raw(found.getPublications().stream().map(one -> raw(one.getData()).json()).collect(Collectors.joining(",", "[", "]")))));
            case "call" -> client.rpc(order[1], order[2].getBytes(StandardCharsets.UTF_8), (error, result) -> {
                if (error != null) say("failed", "call", code(error)); else say("answer", order[1], raw(result.getData()));
            });
            default -> throw new IllegalArgumentException(order[0]);
        }
    }

    static void watch(Client client, String channel) throws Exception {
        SubscriptionOptions options = new SubscriptionOptions();
        options.setJoinLeave(true);
        options.setRecoverable(true);
        options.setPositioned(true);
        watched = client.newSubscription(channel, options, new WatchEvents());
        watched.subscribe();
    }

    static class Tokens extends ConnectionTokenGetter {
        private final String url;

        Tokens(String url) { this.url = url; }

        @Override public void getConnectionToken(ConnectionTokenEvent event, TokenCallback done) {
            try {
                HttpRequest request = HttpRequest.newBuilder(URI.create(url)).build();
                done.Done(null, HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
            } catch (Exception error) {
                done.Done(error, "");
            }
        }
    }

    static class Events extends EventListener {
        @Override public void onConnected(Client client, ConnectedEvent event) { say("connected"); }
        @Override public void onConnecting(Client client, ConnectingEvent event) { say("connecting", event.getCode()); }
        @Override public void onDisconnected(Client client, DisconnectedEvent event) {
            say("disconnected", event.getCode(), event.getReason());
        }
        @Override public void onError(Client client, ErrorEvent event) { say("error", code(event.getError())); }
        @Override public void onMessage(Client client, MessageEvent event) { say("message", raw(event.getData())); }
        @Override public void onSubscribed(Client client, ServerSubscribedEvent event) {
            say("subscribed", event.getChannel(), event.wasRecovering(), event.getRecovered());
        }
        @Override public void onUnsubscribed(Client client, ServerUnsubscribedEvent event) { say("unsubscribed", event.getChannel()); }
        @Override public void onPublication(Client client, ServerPublicationEvent event) {
            say("publication", event.getChannel(), raw(event.getData()), event.getTags().get("cursor"));
        }
    }

    static class WatchEvents extends SubscriptionEventListener {
        @Override public void onSubscribed(Subscription watched, SubscribedEvent event) {
            say("watching", event.wasRecovering(), event.getRecovered());
        }
        @Override public void onPublication(Subscription watched, PublicationEvent event) { say("seen", raw(event.getData())); }
        @Override public void onJoin(Subscription watched, JoinEvent event) { say("join", event.getInfo().getUser()); }
        @Override public void onLeave(Subscription watched, LeaveEvent event) { say("leave", event.getInfo().getUser()); }
        @Override public void onError(Subscription watched, SubscriptionErrorEvent event) { say("refused", code(event.getError())); }
        @Override public void onUnsubscribed(Subscription watched, UnsubscribedEvent event) { say("unwatched", event.getCode()); }
    }
}
