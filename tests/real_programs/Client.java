import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.channels.SocketChannel;

/** Connects to port 7000 with one of Java's clients, and stays. */
class Client {
    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "Socket":
                new Socket("127.0.0.1", 7000).getInputStream().read();
                break;
            case "SocketChannel":
                SocketChannel.open(new InetSocketAddress("127.0.0.1", 7000));
                Thread.sleep(60_000);
                break;
            case "HttpClient":
                URI address = URI.create("http://127.0.0.1:7000/");
                HttpClient.newHttpClient()
                        .send(HttpRequest.newBuilder(address).build(), BodyHandlers.ofString());
        }
    }
}
