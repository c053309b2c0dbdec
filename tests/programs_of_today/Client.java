import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.sql.DriverManager;

/**
 * One request by one of Java's clients to $HOST at port 7000: Client NAME. It prints "asks" before
 * the request, then "answered" or "failed: " and why.
 */
class Client {
    private static final String HOST = System.getenv("HOST");
    private static final String SILENCE = System.getenv("SILENCE");

    public static void main(String[] arguments) {
        try {
            switch (arguments[0]) {
                case "HttpClient" -> get();
                case "pgjdbc" -> ask("postgresql", "postgres", "select pg_sleep");
                case "mariadb" -> ask("mariadb", "", "select sleep");
                default -> throw new IllegalArgumentException(arguments[0]);
            }
            System.out.println("answered");
        } catch (Exception error) {
            System.out.println("failed: " + error);
        }
    }

    private static void get() throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://" + HOST + ":7000/")).build();
        System.out.println("asks");
        client.send(request, BodyHandlers.ofString());
    }

    private static void ask(String kind, String database, String function) throws Exception {
        String address = "jdbc:" + kind + "://" + HOST + ":7000/" + database;
        String user = kind.equals("postgresql") ? "postgres" : "root";
        try (var connection = DriverManager.getConnection(address, user, "")) {
            System.out.println("asks");
            connection.createStatement().execute(function + "(" + SILENCE + ")");
        }
    }
}
